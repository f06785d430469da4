"""Scenarios are found by their modules' names."""

import pytest

from benchmarks import catalogue


@pytest.mark.parametrize("name", catalogue.names())
def test_each_module_is_a_scenario_of_its_own_name(name: str) -> None:
    """What `make bench SCENARIO=name` finds says the same name and has a title."""
    scenario = catalogue.scenario(name)

    assert name == scenario.NAME
    assert scenario.TITLE


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """Whoever misspells one sees what there is."""
    with pytest.raises(
        catalogue.UnknownScenario,
        match=r"'smal_records'.*small_records, start_up, stuck, tuned, with_headers",
    ):
        catalogue.scenario("smal_records")
