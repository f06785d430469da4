"""The options of `headrace models set` that say how a model's requests become batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from batching.options import HIGHEST_PRIORITY, LOWEST_PRIORITY, Filling, PaddingPolicy
from schemas.model_config import BatchingOptions
from worker import batching_parameters, model_devices, ragged_options
from worker.batching_parameters import MOST_ROWS


def batching_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How a model's requests become batches."""
    options = (
        click.option("--max-batch-rows", type=click.IntRange(min=1), help="Rows at which a batch closes."),
        click.option(
            "--batch-timeout-seconds",
            type=click.FloatRange(min=0),
            help="How long a batch waits for more rows.",
        ),
        click.option(
            "--allowed-batch-rows",
            callback=row_sizes,
            metavar="8,32,…|none",
            help="Batch sizes that the model is run at; smaller batches are padded. none: any size, also where "
            "batching.allowed_batch_rows has some on the workers.",
        ),
        click.option(
            "--padding-policy",
            type=click.Choice([each.value for each in PaddingPolicy]),
            help="Batches between two of these sizes are padded up, cut down to the smaller one (the rest waits on), "
            "or whichever costs less a row. Default: what batching.padding_policy says on the workers.",
        ),
        click.option(
            "--ragged",
            metavar="off|on|32,64,…",
            callback=ragged_mode,
            help="Whether inputs of unlike lengths share batches, padded where the signature leaves a dimension open: "
            "to the largest of the batch, or to the next of these sizes. Replies are not cut. Default: what "
            "batching.ragged says on the workers.",
        ),
        click.option(
            "--pad-value",
            "ragged_pad_values",
            multiple=True,
            metavar="INPUT=VALUE",
            callback=pad_values,
            help="What an input is padded with. May be repeated. Default: what batching.ragged_pad_values says on the "
            "workers; zero, false, or an empty string.",
        ),
        click.option(
            "--devices",
            metavar="GPU:0,GPU:1",
            callback=devices,
            help="Where versions are loaded: an instance on each of these devices; batches go to the one with least "
            "to do. Set batching.threads to as many on the workers. Default: one instance, where TensorFlow puts it.",
        ),
        click.option(
            "--max-request-rows",
            type=click.IntRange(0, MOST_ROWS),
            help="Rows of one request; one with more than --max-batch-rows is run in parts. 0: none is. Default: what "
            "batching.max_request_rows says on the workers.",
        ),
        click.option(
            "--filling",
            type=click.Choice([each.value for each in Filling]),
            help="What a batch that is not full takes of requests of lower priorities. Default: what batching.filling "
            "says on the workers.",
        ),
        click.option(
            "--ageing-seconds",
            type=click.FloatRange(0, 3600),
            help="How long requests let more urgent ones go first, past their time-out. Default: what "
            "batching.ageing_seconds says on the workers.",
        ),
        click.option(
            "--priority",
            type=click.IntRange(LOWEST_PRIORITY, HIGHEST_PRIORITY),
            help="Of requests that do not say it themselves, 0 to 9: those of a higher one are run first. Default: "
            "what batching.priority says on the workers.",
        ),
        click.option(
            "--p99-ms",
            type=click.FloatRange(0, 3_600_000),
            help="Milliseconds that 99 of 100 rows may take in the worker: it moves time-out and size of batches, "
            "within --max-batch-rows, to keep that. 0: none. Default: what batching.p99_seconds says on the workers.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def batching_of(given: Mapping[str, Any]) -> BatchingOptions | None:
    """The batching options of a record, of what `batching_options` were given; None where none of them was."""
    options = BatchingOptions(
        given["max_batch_rows"], given["batch_timeout_seconds"], given["allowed_batch_rows"]
    )
    return None if options == BatchingOptions() else options


def parameters_of(given: Mapping[str, Any]) -> dict[str, bytes]:
    """Likewise those that are parameters of a record."""
    return batching_parameters.encoded(given)


def row_sizes(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """`8,32,128`, or `none`: any size."""
    if value is None or value == "none":
        return None if value is None else ()
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not understood; expected numbers, as in 8,32,128, or none"
        ) from None


def ragged_mode(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Off, on, or sizes."""
    try:
        return None if value is None else ragged_options.mode_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def pad_values(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> list[str] | None:
    """`INPUT=VALUE` of each; None where there is none."""
    if any(len(text.splitlines()) > 1 for text in value):
        raise click.BadParameter("a pad value is one line")
    try:
        return ragged_options.pad_values_of("\n".join(value)) or None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def devices(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Sequence[str] | None:
    """`GPU:0,GPU:1`."""
    try:
        return None if value is None else model_devices.read(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
