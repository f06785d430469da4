"""The policy of docs/policies.md works, word for word, once it is installed as the page says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.aspired_version_policy import AspiredVersionPolicy
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion
from tests.docs.pages import ROOT, blocks
from tests.fakes.servables import FakeLoader, ManualExecutor
from tests.kit import distributions
from worker import policies

PAGE = ROOT / "docs" / "policies.md"


@pytest.fixture
def in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AspiredVersionPolicy]:
    """The page's policy, as a worker has it in whose environment the page's distribution is installed."""
    program, offer = (block.text for block in blocks(PAGE) if block.language in {"python", "text"})
    group, name, value = re.findall(r'entry-points."([\w.]+)"\]\n(\w+) = "([\w:]+)"', offer)[0]
    distributions.install(tmp_path, "in-order", {name: value}, group=group)
    (tmp_path / f"{value.partition(':')[0]}.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    yield policies.all_policies(policies.find())["in_order"]
    sys.modules.pop(value.partition(":")[0], None)


def test_the_example_loads_one_version_after_the_other(in_order: AspiredVersionPolicy) -> None:
    """The lowest first; the next one when that is ready; and it unloads as the default does."""
    loads = ManualExecutor()
    manager = AspiredVersionsManager(
        AspiredVersionsManagerOptions(policy=in_order, basic=BasicManagerOptions(1, 0)),
        Surroundings(load_executor=loads),
    )

    def aspire(*versions: int) -> None:
        ids = [ServableId("m", version) for version in versions]
        manager.set_aspired_versions("m", [AspiredVersion(each, FakeLoader) for each in ids])

    aspire(1, 2)
    ready = []
    for _ in range(2):
        manager.step()
        manager.step()
        assert len(loads.jobs) == 1
        loads.run()
        ready.append([each.version for each in manager.available_ids()])
    assert ready == [[1], [1, 2]]

    aspire(2)
    manager.step()
    manager.step()
    assert [each.version for each in manager.available_ids()] == [2]
