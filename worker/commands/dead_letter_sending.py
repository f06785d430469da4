"""`headrace dead-letters replay`: chooses, asks, sends, and says what came of it.

The topics are read twice: once to choose and to count, before anything is sent, and once to send what was chosen. Of
what was chosen only the places are kept meanwhile, never the payloads.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from worker.commands.dead_letter_access import DeadLetterAccess
from worker.commands.dead_letter_lists import begin, starts_text, tell
from worker.commands.failure import CommandFailedError
from worker.commands.output import Output, table
from worker.dead_letter_entries import Reading, Selection
from worker.dead_letter_replay import NotSent, Place, Replayer, Rules, ranges_of
from worker.exit_codes import ExitCode
from worker.kafka.errors import KafkaProblem
from worker.topic_scan import TopicScan

if TYPE_CHECKING:
    from worker.kafka.records import TopicPartition

NOT_FOUND = "there is no such dead letter, or the filters leave it out"
LAST_SECONDS = 5.0
"""So long is waited for the broker's word on what has been handed over, when something ends the sending."""
NAMED_PLACES = 20


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        topics: the dead-letter topics.
        selection: which dead letters.
        rules: which of them may be sent.
        limit: only the oldest so many; None: all.
        same_partition: to the partition that each came from.
        dry_run: nothing is sent.
        confirmed: nobody has to be asked.
    """

    topics: tuple[str, ...]
    selection: Selection
    rules: Rules
    limit: int | None = None
    same_partition: bool = False
    dry_run: bool = False
    confirmed: bool = False


@dataclass(frozen=True, slots=True, order=True)
class _Chosen:
    """One dead letter to send; *time_ms* never falls within a partition, so that the oldest are its first."""

    time_ms: int
    place: Place
    source: str


@dataclass(frozen=True)
class _Plan:
    chosen: Sequence[_Chosen]
    left_out: Sequence[_Chosen]
    kept_back: Sequence[NotSent]

    @property
    def by_source(self) -> Counter[str]:
        return Counter(each.source for each in self.chosen)


def replay_dead_letters(
    access: DeadLetterAccess, wish: Wish, output: Output, *, ask: Callable[[str], bool] | None = None
) -> None:
    """Send what is wished for, and show what came of it; *ask* puts the question, on the terminal by default.

    Raises:
        CommandFailedError: not all was sent; there is nobody to ask, or the answer was no.
        KafkaProblem: a topic is missing or could not be read, or the producer is of no use any more.
    """
    if ask is None:
        if not (wish.dry_run or wish.confirmed or sys.stdin.isatty()):
            raise CommandFailedError(
                "there is no terminal to ask on; --yes sends without asking, --dry-run says what would be sent",
                ExitCode.USAGE,
            )
        ask = _ask
    with access.scan(wish.topics) as scan:
        reading = begin(scan, wish.selection)
        plan = _choose(reading, wish)
        if wish.dry_run or not plan.chosen:
            _show_plan(wish, plan, reading, output)
            return
        if not wish.confirmed:
            for line in _lines(plan.kept_back):
                tell(f"not sent: {line}")
            if not ask(f"send {_counted(plan.by_source)}?"):
                raise CommandFailedError("nothing was sent: the answer was no")
        with access.sending(sorted(plan.by_source)) as producer:
            replayer = Replayer(producer, same_partition=wish.same_partition)
            try:
                _send(scan, plan, replayer)
            except BaseException:
                with suppress(KafkaProblem):
                    replayer.finish(LAST_SECONDS)
                tell(f"stopped early: {replayer.sent.total():,} of {len(plan.chosen):,} have been sent")
                raise
    _show_result(wish, plan, replayer, reading, output)


def _choose(reading: Reading, wish: Wish) -> _Plan:
    chosen: list[_Chosen] = []
    kept_back: list[NotSent] = []
    found: set[tuple[int, int]] = set()
    latest_ms: dict[TopicPartition, int] = {}
    for entry in reading.entries():
        found.add((entry.partition.partition, entry.offset))
        obstacle = wish.rules.obstacle(entry)
        if obstacle is not None:
            kept_back.append(NotSent(entry.place, obstacle))
        elif entry.told is not None:
            time_ms = latest_ms[entry.partition] = max(entry.time_ms, latest_ms.get(entry.partition, 0))
            chosen.append(_Chosen(time_ms, entry.place, entry.told.origin.topic))
    chosen.sort()
    for number, offset in sorted(wish.selection.places - found):
        kept_back.append(NotSent((wish.topics[0], number, offset), NOT_FOUND))
    limit = len(chosen) if wish.limit is None else wish.limit
    return _Plan(chosen[:limit], chosen[limit:], kept_back)


def _send(scan: TopicScan, plan: _Plan, replayer: Replayer) -> None:
    places = {each.place for each in plan.chosen}
    for message in scan.read(ranges_of(places)):
        if (message.topic(), message.partition(), message.offset()) in places:
            replayer.send(message)
    replayer.finish()


def _show_plan(wish: Wish, plan: _Plan, reading: Reading, output: Output) -> None:
    by_source = plan.by_source
    document = {
        **_document(wish, plan, reading),
        "sent": {},
        "not_sent": _named(plan.kept_back),
        "next": None,
    }
    output.show(
        document, *([table(("topic", "would be sent"), sorted(by_source.items()))] if by_source else [])
    )
    if not by_source:
        tell("nothing to send")
    if plan.left_out:
        tell(f"{len(plan.left_out):,} more match and would be left for later (--limit)")
    if not wish.dry_run:
        _judge(plan.kept_back, len(plan.kept_back))
    for line in _lines(plan.kept_back):
        tell(f"would not be sent: {line}")


def _show_result(wish: Wish, plan: _Plan, replayer: Replayer, reading: Reading, output: Output) -> None:
    expired = {each.place for each in plan.chosen} - replayer.handed
    failed = [*(NotSent(place, "it has expired meanwhile") for place in sorted(expired)), *replayer.failed]
    not_sent = [*plan.kept_back, *failed]
    starts = _starts(reading, plan, failed) if _reads_to_the_end(wish.selection) else None
    document = {
        **_document(wish, plan, reading),
        "sent": dict(replayer.sent),
        "not_sent": _named(not_sent),
        "next": None
        if starts is None
        else {topic: starts_text(offsets) for topic, offsets in starts.items()},
    }
    rows = [(topic, replayer.sent[topic], count) for topic, count in sorted(plan.by_source.items())]
    output.show(document, table(("topic", "sent", "of"), rows))
    if plan.left_out:
        tell(f"{len(plan.left_out):,} more match and are left for later (--limit)")
    for topic, offsets in (starts or {}).items():
        tell(f"the next replay begins at: --topic {topic} --from {starts_text(offsets)}")
    twice = _sent_behind(starts or {}, plan, failed)
    if twice:
        tell(f"{twice:,} that have been sent lie behind that too: the next replay would send them again")
    _judge(not_sent, len(plan.chosen) + len(plan.kept_back))


def _starts(reading: Reading, plan: _Plan, failed: Sequence[NotSent]) -> Mapping[str, Mapping[int, int]]:
    """By topic and partition, where a replay goes on: at the first that was left, else at the end."""
    starts = {topic: dict(offsets) for topic, offsets in reading.next_offsets.items()}
    for topic, number, offset in [*(each.place for each in plan.left_out), *(each.place for each in failed)]:
        starts[topic][number] = min(starts[topic][number], offset)
    return starts


def _sent_behind(starts: Mapping[str, Mapping[int, int]], plan: _Plan, failed: Sequence[NotSent]) -> int:
    """How many have been sent and lie where the next replay would find them."""
    if not starts:
        return 0
    missing = {each.place for each in failed}
    places = (each.place for each in plan.chosen if each.place not in missing)
    return sum(offset >= starts[topic][number] for topic, number, offset in places)


def _document(wish: Wish, plan: _Plan, reading: Reading) -> dict[str, Any]:
    return {"dry_run": wish.dry_run, "matched": reading.matched, "chosen": dict(plan.by_source)}


def _named(not_sent: Sequence[NotSent]) -> list[dict[str, Any]]:
    return [
        {"topic": topic, "partition": number, "offset": offset, "reason": each.reason}
        for each in not_sent
        for topic, number, offset in (each.place,)
    ]


def _judge(not_sent: Sequence[NotSent], chosen: int) -> None:
    if not_sent:
        raise CommandFailedError(
            f"{len(not_sent):,} of {chosen:,} dead letters were not sent: {'; '.join(_lines(not_sent))}"
        )


def _lines(not_sent: Iterable[NotSent]) -> list[str]:
    """Each reason once, with how many there are and where the first are."""
    places: dict[str, list[Place]] = {}
    for each in not_sent:
        places.setdefault(each.reason, []).append(each.place)
    return [f"{reason}: {len(found):,} ({_shown(found)})" for reason, found in places.items()]


def _shown(places: Sequence[Place]) -> str:
    first = places[0][0]
    named = [f"{n}:{o}" if t == first else f"{t} {n}:{o}" for t, n, o in places[:NAMED_PLACES]]
    return " ".join([first, *named, *(["…"] if len(places) > NAMED_PLACES else [])])


def _counted(by_source: Counter[str]) -> str:
    total = by_source.total()
    topics = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(by_source.items()))
    return f"{total:,} dead letter{'s' if total != 1 else ''} ({topics})"


def _ask(question: str) -> bool:
    return click.confirm(question, err=True)


def _reads_to_the_end(selection: Selection) -> bool:
    """Whether a reading from the end on leaves nothing out that this one would have chosen later."""
    return not selection.places and selection.until_ms is None
