"""Contenders beside each other: rates and costs, absolute and by those of the first two, echo and hand loop."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks import measuring
from benchmarks.measuring import Result, Summary
from benchmarks.scenario import Column, Line
from benchmarks.turns import listed

RATE, COST, SPREAD = "records_per_second", "cpu_us_per_record", "spread"
COST_BY_FIRST, COST_BY_SECOND, RATE_BY_SECOND = "cpu_by_first", "cpu_by_second", "rate_by_second"


def say(result: Result) -> str:
    """One run in a line."""
    return f"{result.records_per_second:,.0f} records/s, {result.cpu_us_per_record:.2f} µs CPU a record"


def summaries(results: Mapping[str, Sequence[Result]]) -> list[Summary]:
    """The medians of each contender, in their order."""
    return [measuring.summary(name, of_one) for name, of_one in results.items()]


def columns(first: str, second: str) -> list[Column]:
    """The columns of `lines`; *first* and *second* are what is compared with."""
    return [
        Column(RATE, "records/s", ",.0f"),
        Column(COST, "CPU µs a record"),
        Column(SPREAD, "spread", ".0%"),
        Column(COST_BY_FIRST, f"CPU by {first}'s"),
        Column(COST_BY_SECOND, f"CPU by {second}'s"),
        Column(RATE_BY_SECOND, f"records/s by {second}'s"),
    ]


def lines(contenders: Sequence[Summary]) -> list[Line]:
    """One line each; the first two are what the others are compared with."""
    first, second = contenders[0], contenders[1]
    return [
        Line(
            each.name,
            {
                RATE: each.records_per_second,
                COST: each.cpu_us_per_record,
                SPREAD: each.spread,
                COST_BY_FIRST: each.cpu_us_per_record / first.cpu_us_per_record,
                COST_BY_SECOND: each.cpu_us_per_record / second.cpu_us_per_record,
                RATE_BY_SECOND: each.records_per_second / second.records_per_second,
            },
        )
        for each in contenders
    ]


def runs(results: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Every single run, for the JSON file."""
    return listed(results, asdict)
