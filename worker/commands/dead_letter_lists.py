"""`headrace dead-letters list`: dead letters as a table, or counted."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from worker.commands.dead_letter_access import DeadLetterAccess
from worker.commands.model_views import time_text
from worker.commands.output import Output, table
from worker.dead_letter_entries import Entry, Group, GroupKey, Reading, Selection, latest, summary
from worker.topic_scan import TopicScan

MANY_RECORDS = 20_000
"""From so many on, to read them takes seconds: that is said."""
SHOWN_CHARACTERS = 200
NOT_OURS = "not headrace's"


def show_entries(
    access: DeadLetterAccess, topics: Sequence[str], selection: Selection, limit: int, output: Output
) -> None:
    """Show the latest that are meant, the oldest of them first.

    Raises:
        KafkaProblem: a topic is missing, or could not be read.
    """
    with access.scan(topics) as scan:
        reading = begin(scan, selection)
        entries = latest(reading.entries(), limit)
    document = {**_counts(reading), "dead_letters": [entry_document(entry) for entry in entries]}
    several = len(topics) > 1
    columns = ("time", "at", "reason", "model", "from", "bytes", "replays", "error")
    rows = [_row(entry, several=several) for entry in entries]
    shown = [table((("topic", *columns) if several else columns), rows)] if rows else []
    output.show(document, *shown)
    tell(_sentence(reading, len(entries)))


def show_summary(
    access: DeadLetterAccess, topics: Sequence[str], selection: Selection, output: Output
) -> None:
    """Count those that are meant, by reason, source topic and worker. Raises as `show_entries`."""
    with access.scan(topics) as scan:
        reading = begin(scan, selection)
        groups = summary(reading.entries())
    document = {**_counts(reading), "summary": [_group_document(*each) for each in groups]}
    rows = [
        (
            group.records,
            reason or NOT_OURS,
            source,
            worker,
            time_text(group.first_ms),
            time_text(group.last.time_ms),
            _shown(_error(group.last)),
        )
        for (reason, source, worker), group in groups
    ]
    columns = ("records", "reason", "from", "worker", "first", "last", "last error")
    output.show(document, *([table(columns, rows)] if rows else []))
    tell(_sentence(reading, reading.matched))


def begin(scan: TopicScan, selection: Selection) -> Reading:
    """A reading, which says so when it takes its time."""
    reading = Reading(scan, selection)
    offsets = sum(high - low for low, high in reading.ranges.values())
    if offsets >= MANY_RECORDS:
        tell(f"reading {offsets:,} records")
    return reading


def tell(line: str) -> None:
    """Say something beside the result."""
    click.echo(line, err=True)


def entry_document(entry: Entry) -> dict[str, Any]:
    """A dead letter for programs, without its payload."""
    told = entry.told
    return {
        "topic": entry.partition.topic,
        "partition": entry.partition.partition,
        "offset": entry.offset,
        "time": time_text(entry.time_ms),
        "reason": None if told is None else told.reason,
        "error": _error(entry),
        "source": None
        if told is None
        else {
            "topic": told.origin.topic,
            "partition": told.origin.partition,
            "offset": told.origin.offset,
            "time": time_text(told.timestamp_ms or 0),
        },
        "group": None if told is None else told.group or None,
        "worker": None if told is None else told.worker or None,
        "model": entry.model,
        "key": None if entry.key is None else bytes_text(entry.key),
        "bytes": entry.size_bytes,
        "replays": entry.replays,
    }


def bytes_text(value: bytes) -> str:
    """Bytes as text where they are printable, else as hex behind 0x."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and (text or not value) else f"0x{value.hex()}"


def starts_text(offsets: Mapping[int, int]) -> str:
    """Offsets as `--from` takes them."""
    return ",".join(f"{number}:{offset}" for number, offset in sorted(offsets.items()))


def _row(entry: Entry, *, several: bool) -> tuple[object, ...]:
    told = entry.told
    cells = (
        time_text(entry.time_ms),
        f"{entry.partition.partition}:{entry.offset}",
        NOT_OURS if told is None else told.reason,
        entry.model,
        None if told is None else f"{told.origin.topic} {told.origin.partition}:{told.origin.offset}",
        entry.size_bytes,
        entry.replays or None,
        _shown(_error(entry)),
    )
    return (entry.partition.topic, *cells) if several else cells


def _error(entry: Entry) -> str:
    return entry.problem if entry.told is None else entry.told.message


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _counts(reading: Reading) -> dict[str, Any]:
    return {
        "read": reading.read,
        "matched": reading.matched,
        "next": {topic: starts_text(offsets) for topic, offsets in reading.next_offsets.items()},
    }


def _sentence(reading: Reading, shown: int) -> str:
    if not reading.read:
        return "there are no dead letters"
    matched = f"{reading.matched:,} of {reading.read:,} dead letters match"
    return matched if shown == reading.matched else f"{matched}; the latest {shown:,} are shown (--limit)"


def _group_document(key: GroupKey, group: Group) -> dict[str, Any]:
    reason, source, worker = key
    return {
        "records": group.records,
        "reason": reason or None,
        "source_topic": source or None,
        "worker": worker or None,
        "first": time_text(group.first_ms),
        "last": time_text(group.last.time_ms),
        "last_dead_letter": entry_document(group.last),
    }
