"""`headrace status`: which workers live, and how each version of each model does on each of them."""

from typing import TYPE_CHECKING, Any

import click

from worker.commands.options import output_option, settings_options
from worker.commands.output import Output, styled, table
from worker.commands.queue_views import QUEUE_COLUMNS, queue_document, queue_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.servable_status import ServableStatus
    from worker.commands.control_access import ControlAccess
    from worker.fleet import Fleet, Member
    from worker.fleet_reader import FleetReader
    from worker.settings_loading import Loaded

_SILENCE_SECONDS = 6.0
"""When every worker seems lost, so long is waited for a sign of life; they come every 5 s by default."""

_STATE_COLOURS = {"AVAILABLE": "green", "LOADING": "yellow", "START": "yellow", "UNLOADING": "yellow"}


@click.command()
@click.option("--model", help="Show this model only.")
@settings_options
@output_option
def status(loaded: "Loaded", model: str | None, output: Output) -> None:
    """Show workers, models, versions and their states, with reasons, and the batch queues.

    Read from the status topic. A worker whose lease has run out is shown as lost; what it last said of its
    versions is shown with it, and no longer holds.

    Of its queues a worker tells once a minute what waits at that moment (rows, and for how long the oldest), and of
    the batches since it told before: how many, their rows, how much of what the model was given was padding, how long
    a batch waited and how long the model took, on average.
    """
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka

    show_status(access_of(loaded.settings), model, output)


def show_status(access: "ControlAccess", model: str | None, output: Output) -> None:
    """Show the fleet as it is now.

    Raises:
        KafkaProblem: the status topic is missing, or cannot be read.
    """
    with access.watching() as reader:
        await_life(reader)
        fleet, now_ms = reader.fleet, reader.now_ms()
    members = fleet.members
    servables = list(fleet.servables(model=model))
    live = set(fleet.live(now_ms))
    workers = [
        (
            worker,
            member.status.group,
            member.status.host,
            member.status.release,
            _worker_state(member, now_ms),
            member.status.control_offset,
            f"{_age_seconds(member, now_ms)} s ago",
            _worker_problem(member),
        )
        for worker, member in members.items()
    ]
    ordered = sorted(servables, key=lambda s: (s.model, s.version, s.worker))
    versions = [
        (
            each.model,
            _version(each),
            each.worker,
            shown_state(each) if each.worker in live else styled(f"{each.state} (lost)", "dim"),
            _since(each),
            requests_text(each),
            each.message,
        )
        for each in ordered
    ]
    queues = list(queue_rows(each for each in ordered if each.worker in live))
    if not workers:
        output.show(
            as_document(fleet, servables, now_ms),
            "no worker has been heard of in the last day; start one with: headrace worker",
        )
        return
    output.show(
        as_document(fleet, servables, now_ms),
        table(("worker", "group", "host", "release", "state", "control offset", "heard", "problem"), workers),
        table(("model", "version", "worker", "state", "since", "requests", "reason"), versions),
        *([table(QUEUE_COLUMNS, queues)] if queues else []),
    )


def await_life(reader: "FleetReader") -> None:
    """Where no worker seems to live, wait for a word: the own clock may be ahead of the broker's."""
    if reader.lifeless:
        click.echo("no worker seems to live; waiting for a sign of life", err=True)
        reader.await_life(_SILENCE_SECONDS)


def as_document(fleet: "Fleet", servables: "Iterable[ServableStatus]", now_ms: float) -> dict[str, Any]:
    """For programs: everything that the workers say, with what is left of each lease."""
    live = set(fleet.live(now_ms))
    return {
        "workers": [
            {
                "worker": worker,
                "group": member.status.group,
                "host": member.status.host,
                "release": member.status.release,
                "state": str(member.status.state),
                "live": worker in live,
                "lease_left_seconds": round((member.heard_ms + member.status.lease_ms - now_ms) / 1000, 3),
                "control_offset": member.status.control_offset,
                "problem": _worker_problem(member) or None,
            }
            for worker, member in fleet.members.items()
        ],
        "servables": [
            {
                "model": each.model,
                "version": None if each.version < 0 else each.version,
                "worker": each.worker,
                "live": each.worker in live,
                "state": str(each.state),
                "code": each.code,
                "message": each.message,
                "asleep": each.asleep,
                "control_offset": each.control_offset,
                "since": _since(each),
                "requests_answered": each.requests_answered,
                "requests_failed": each.requests_failed,
                "queues": list(map(queue_document, each.queues)),
                "signatures": sorted(signature.name for signature in each.signatures),
            }
            for each in servables
        ],
    }


def _version(each: "ServableStatus") -> object:
    return None if each.version < 0 else each.version


def _since(each: "ServableStatus") -> str | None:
    from worker.commands.model_views import time_text  # noqa: PLC0415

    return time_text(each.time)


def requests_text(each: "ServableStatus") -> str | None:
    """How many requests a version has answered on a worker, and how many have failed; None where nobody says it."""
    if each.requests_answered is None:
        return None
    failed = f" ({each.requests_failed:,} failed)" if each.requests_failed else ""
    return f"{each.requests_answered:,}{failed}"


def shown_state(each: "ServableStatus") -> object:
    """A version's state in its colour, as failed where it is."""
    if each.asleep:
        return styled(f"{each.state} (asleep)", "dim")
    if each.code:
        return styled("FAILED" if each.state == "END" else f"{each.state} (failing)", "bold red")
    return styled(each.state, _STATE_COLOURS.get(str(each.state), ""))


def _worker_state(member: "Member", now_ms: float) -> object:
    if not member.live(now_ms):
        return styled("LOST", "bold red")
    return styled(member.status.state, "green" if member.status.state == "SERVING" else "yellow")


def _age_seconds(member: "Member", now_ms: float) -> int:
    return max(0, round((now_ms - member.heard_ms) / 1000))


def _worker_problem(member: "Member") -> str:
    from worker.worker_lease import CONTROL_PROBLEM, CONTROL_REJECTED  # noqa: PLC0415

    said = (member.status.parameters.get(name, b"") for name in (CONTROL_PROBLEM, CONTROL_REJECTED))
    return "; ".join(text.decode(errors="replace") for text in said if text)
