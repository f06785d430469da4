"""Hostile records: a short run of each fuzzer finds nothing in the worker that there is, and the fault in a worse one.

`make fuzz WHAT=requests`, `WHAT=headers` and `WHAT=control` go on for longer (issue 5, acceptance 5).
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from schemas import codec
from schemas.errors import Code, EmptyValue
from schemas.model_config import ModelConfig
from schemas.request_decoder import Rejected
from tests.fakes.request_path import REPLIES, Worker
from tests.fuzzing import control_rig, path_rig, served
from tests.fuzzing.growth import LEAST_RECORDS, MOST_GROWTH_BYTES, LogLines, Snapshot, too_large
from tests.fuzzing.hostile_control import ControlSource
from tests.fuzzing.hostile_headers import HeaderSource
from tests.fuzzing.hostile_requests import RequestSource
from tests.fuzzing.pieces import joined, of_record
from tests.fuzzing.record_fuzzer import RecordFuzzer, control_fuzzer, header_fuzzer, request_fuzzer
from tests.fuzzing.records import Finding, Record
from worker.admission import Admission
from worker.control_loop import ControlParts
from worker.delivery import Answer, Origin
from worker.model_table import Change

SEED = 20_261_121
POLLS = 80
POLLS_TO_A_FAULT = 2_000


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[LogLines]:
    """Nothing that a requester or a writer of control records sends makes a line of the log long."""
    with LogLines() as lines:
        yield lines
    assert lines.problem() is None


def first_finding(fuzzer: RecordFuzzer, polls: int) -> Finding | None:
    """What is wrong first within so many polls."""
    return next(filter(None, (fuzzer.step() for _ in range(polls))), None)


@pytest.mark.parametrize("make", [request_fuzzer, header_fuzzer, control_fuzzer])
def test_hostile_records_do_no_harm(make: Callable[[int], RecordFuzzer]) -> None:
    """Each record is answered, refused or dead-lettered as it should be; what is kept stays within its bounds."""
    fuzzer = make(SEED)

    assert first_finding(fuzzer, POLLS) is None
    assert fuzzer.records > POLLS
    assert too_large(Snapshot.take(fuzzer.records, fuzzer.sizes())) is None


@pytest.mark.parametrize("source", [RequestSource, HeaderSource])
def test_polls_hold_what_is_answered_and_what_is_not(source: Callable[[random.Random], Any]) -> None:
    """It is no test of neighbours unless many are answered, and none of hostile records unless many are not."""
    rig, polls = path_rig.PathRig("at least once"), source(random.Random(SEED))
    for _ in range(50):
        assert rig.poll(polls.poll()) is None

    counts = rig.counts
    assert counts.answered + counts.dead == counts.records
    assert min(counts.answered - counts.refused, counts.refused, counts.dead) > counts.records // 20


def test_control_records_are_applied_removed_and_refused() -> None:
    """Likewise on the control topic."""
    rig, polls = control_rig.ControlRig(), ControlSource(random.Random(SEED))
    for _ in range(50):
        assert rig.poll(polls.poll()) is None

    counts = rig.counts
    assert counts.applied + counts.removed + counts.refused == counts.records
    assert min(counts.applied, counts.refused) > counts.records // 10
    assert counts.removed > 0


@pytest.mark.parametrize("source", [RequestSource, HeaderSource, ControlSource])
def test_a_seed_says_all(source: Callable[[random.Random], Any]) -> None:
    """Two sources with one seed make the same polls."""
    one, two = source(random.Random(7)), source(random.Random(7))

    assert [one.poll() for _ in range(30)] == [two.poll() for _ in range(30)]


# Faults in the request path


def forgets_empty_values(worker: Worker) -> None:
    """A record without a value is passed over: nothing comes of it, and its offset stays."""
    _replace_reject(worker, lambda records, reject: None)


def skips_empty_values(worker: Worker) -> None:
    """A record without a value is passed over, and committed all the same."""
    _replace_reject(worker, lambda records, reject: records.settle([reject.index]))


def _replace_reject(worker: Worker, instead: Callable[[Any, Rejected], None]) -> None:
    intake: Any = worker.path._intake
    right = intake._reject

    def reject(records: Any, rejected: Rejected, exceptions: Any) -> None:
        if isinstance(rejected.error, EmptyValue):
            instead(records, rejected)
        else:
            right(records, rejected, exceptions)

    intake._reject = reject


def raises_on_short_values(worker: Worker) -> None:
    """A value of very few bytes is more than the decoder can bear."""
    decoder: Any = worker.path._intake._decoder
    right = decoder.decode

    def decode(values: Any, *args: Any, **kwargs: Any) -> Any:
        if any(value is not None and 0 < len(value) < 10 for value in values):
            raise IndexError("index out of range")
        return right(values, *args, **kwargs)

    decoder.decode = decode


def answers_twice(worker: Worker) -> None:
    """An error reply goes out twice."""
    publisher: Any = worker.path._publisher
    right = publisher.replies

    def replies(origin: Origin, payloads: list[bytes], answer: Answer) -> None:
        right(origin, payloads, answer)
        if answer.code is Code.RESOURCE_EXHAUSTED:
            keys = [origin.records.messages[position].key() for position in origin.positions]
            publisher._producers.for_topic(REPLIES).send(REPLIES, payloads, keys)

    publisher.replies = replies


def mixes_up_rows(worker: Worker) -> None:
    """In a batch of many rows the first two get each other's answers."""
    for version in served.VERSIONS["m"]:
        with worker.path._intake._router._manager.handle("m", version) as handle:
            servable: Any = handle.servable
        right = servable.run

        def run(signature: str, inputs: Any, outputs: Any, right: Any = right) -> Any:
            results = dict(right(signature, inputs, outputs))
            for name, rows in results.items():
                if signature == "two" and len(rows) > 8:
                    results[name] = rows[[1, 0, *range(2, len(rows))]]
            return results

        servable.run = run


def labels_by_requester(worker: Worker) -> None:
    """What a requester writes becomes a label of a metric."""
    router: Any = worker.path._intake._router
    router.known_name = lambda model: model


def keeps_every_name(worker: Worker) -> None:
    """What a requester writes stays in memory."""
    router: Any = worker.path._intake._router
    right = router._serves

    def serves(binding: str, model: str) -> bool:
        for number in range(10):
            router._checked[binding, f"{model}{number}{len(router._checked)}"] = None
        return bool(right(binding, model))

    router._serves = serves


REQUEST_FAULTS = (
    forgets_empty_values,
    skips_empty_values,
    raises_on_short_values,
    answers_twice,
    mixes_up_rows,
    labels_by_requester,
)


@pytest.mark.parametrize("fault", REQUEST_FAULTS)
def test_a_fault_in_the_request_path_is_found(fault: path_rig.Sabotage) -> None:
    """A worker with a fault is found out, and the records that show it show it on a new one, and on no right one."""
    found = first_finding(request_fuzzer(SEED, fault), POLLS_TO_A_FAULT)

    assert_shown(found, lambda where: path_rig.PathRig(where, fault), path_rig.PathRig)


# Faults in what is made of headers


def exchanges_correlations(worker: Worker) -> None:
    """Of two requests with headers that are alike each gets the other's correlation id."""
    admission: Any = worker.path._intake._admission
    right = admission._admit_alike

    def admit_alike(records: Any, positions: Any, columns: Any) -> bool:
        done = right(records, positions, columns)
        if done and records.routes is not None:
            one, two = positions[0], positions[1]
            headers = records.routes.headers
            headers[one], headers[two] = headers[two], headers[one]
        return bool(done)

    admission._admit_alike = admit_alike


def takes_any_topic(worker: Worker) -> None:
    """A request may name any topic that exists."""
    routing: Any = worker.path._intake._admission._routings["default"]
    routing._allowed_topic = lambda value: (value or b"").decode(errors="replace")


def forgets_deadlines(worker: Worker) -> None:
    """A deadline that has passed is of no account."""
    admission: Any = worker.path._intake._admission
    right = admission.admit

    def admit(records: Any) -> Any:
        exceptions = right(records)
        records.deadlines_ms = None
        return exceptions

    admission.admit = admit


def forgets_partitions(worker: Worker) -> None:
    """The reply goes to some partition."""
    admission: Any = worker.path._intake._admission
    right = Admission._route

    def route(records: Any, position: int, headers: Any) -> None:
        right(admission, records, position, [h for h in headers if h[0] != "kafka_replyPartition"])

    admission._route = route


HEADER_FAULTS = (exchanges_correlations, takes_any_topic, forgets_deadlines, forgets_partitions)


@pytest.mark.parametrize("fault", HEADER_FAULTS)
def test_a_fault_in_reading_headers_is_found(fault: path_rig.Sabotage) -> None:
    """Likewise with headers."""
    found = first_finding(header_fuzzer(SEED, fault), POLLS_TO_A_FAULT)

    assert_shown(found, lambda where: path_rig.PathRig(where, fault), path_rig.PathRig)


# Faults on the control side


def after_invalid(parts: ControlParts, then: Callable[[Callable[[Any], Any], Any, str], None]) -> None:
    """Whenever a record was invalid, do *then*: given what applies a value for its key, its value, and the model."""
    table: Any = parts.table
    right = table.apply

    def apply(key: Any, value: Any, offset: int, now: float) -> tuple[Change, str]:
        change, name = right(key, value, offset, now)
        if change is Change.INVALID:
            then(lambda other: right(key, other, offset, now), value, name)
        return change, name

    table.apply = apply


def removes_what_is_wrong(parts: ControlParts) -> None:
    """An invalid record removes its model."""
    after_invalid(parts, lambda again, _value, _name: again(None))


def forgets_the_config(parts: ControlParts) -> None:
    """After an invalid record nothing is desired of its model."""

    def forget(again: Callable[[Any], Any], value: Any, _name: str) -> None:
        again(None)
        again(value)

    after_invalid(parts, forget)


def believes_labels(parts: ControlParts) -> None:
    """A config whose labels point to nothing is applied."""
    table: Any = parts.table
    right = table._put

    def put(name: str, model: Any) -> None:
        if model is not None and not model.record_valid and "points to version" in (model.problem or ""):
            model = type(model)(name, ModelConfig("/a", loader="fake"), model.offset, model.offset)
        right(name, model)

    table._put = put


def tells_nobody(parts: ControlParts) -> None:
    """What is wrong with a record is not told."""
    reports: Any = parts.reports
    right = reports._unmanaged
    reports._unmanaged = lambda model, known: (
        (key, status) for key, status in right(model, known) if key[1] >= 0
    )


def unloads_what_serves(parts: ControlParts) -> None:
    """After an invalid record the model's versions go."""
    manager = parts.aspirations._manager
    after_invalid(parts, lambda _again, _value, name: manager.set_aspired_versions(name, []))


CONTROL_FAULTS = (
    removes_what_is_wrong,
    forgets_the_config,
    believes_labels,
    tells_nobody,
    unloads_what_serves,
)


@pytest.mark.parametrize("fault", CONTROL_FAULTS)
def test_a_fault_on_the_control_side_is_found(fault: control_rig.Sabotage) -> None:
    """Likewise with control records."""
    found = first_finding(control_fuzzer(SEED, fault), POLLS_TO_A_FAULT)

    assert_shown(found, lambda _: control_rig.ControlRig(fault), lambda _: control_rig.ControlRig())


def assert_shown(found: Finding | None, faulty: Callable[[str], Any], right: Callable[[str], Any]) -> None:
    """A finding's polls show it on a new faulty worker, each of them is needed, and a right worker minds none."""
    assert found is not None
    assert found.polls
    assert sum(map(len, found.polls)) < 40
    assert shows(faulty(found.where), found.polls)
    assert not shows(right(found.where), found.polls)
    assert found.lines()


def shows(rig: Any, polls: tuple[tuple[Record, ...], ...]) -> bool:
    """Whether something is wrong on the way, or with the metrics at its end."""
    return any(rig.poll(poll) is not None for poll in polls) or rig.strange_labels() is not None


# Growth


def test_what_grows_past_its_bound_is_named() -> None:
    """A worker that keeps every name is found out by what it keeps."""
    fuzzer = request_fuzzer(SEED, keeps_every_name)
    for _ in range(POLLS):
        assert fuzzer.step() is None

    assert "kinds checked" in (too_large(Snapshot.take(fuzzer.records, fuzzer.sizes())) or "")


def test_memory_that_grows_is_found_in_long_runs() -> None:
    """Resident memory at the end may be so much more than after a tenth, and no more; short runs say nothing."""
    sizes = {"layouts": (1, 2)}
    then = Snapshot(LEAST_RECORDS // 10, 10**8, sizes)

    assert too_large(Snapshot(LEAST_RECORDS, 10**8 + MOST_GROWTH_BYTES, sizes), then) is None
    assert "memory has grown" in (
        too_large(Snapshot(LEAST_RECORDS, 10**8 + MOST_GROWTH_BYTES + 1, sizes), then) or ""
    )
    assert too_large(Snapshot(LEAST_RECORDS - 1, 10**9, sizes), then) is None


def test_pieces_are_what_the_codec_writes() -> None:
    """A config taken apart and joined again is the config as it is encoded, whatever it holds."""
    source = ControlSource(random.Random(3))
    for config in [source._usual() for _ in range(20)] + [source._odd() for _ in range(100)]:
        assert joined(of_record(config, None)) == codec.encode(config)
