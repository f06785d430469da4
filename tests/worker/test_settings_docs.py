"""The page about settings is what the settings say."""

import pytest

from worker import settings_docs
from worker.settings import all_fields
from worker.settings_kafka import Binding


def test_the_page_is_current() -> None:
    """After a change of a setting: `python -m worker.settings_docs`."""
    assert settings_docs.PAGE.read_text(encoding="utf-8") == settings_docs.page()


def test_every_setting_is_on_the_page() -> None:
    """Those of a binding, too."""
    page = settings_docs.page()
    names = [name for name, _ in all_fields() if name != "bindings"]

    assert [name for name in [*names, *Binding.model_fields] if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("delivery.budget_rows", "whole number, ≥ 1"),
        ("delivery.commit_interval_seconds", "number, > 0, ≤ 1"),
        ("http.port", "whole number, ≥ -1, ≤ 65,535"),
        ("log.format", "`text` or `json`"),
        ("lifecycle.warmup", "`true` or `false`"),
        ("kafka.command_config", "path"),
        ("kafka.properties", "table"),
        ("topics.control", "text, 1 to 249 letters, digits, '.', '_' and '-'"),
    ],
)
def test_values_are_said_in_words(name: str, words: str) -> None:
    """Type and range come from the same annotation that checks them."""
    assert settings_docs.values(dict(all_fields())[name]) == words
