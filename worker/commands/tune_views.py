"""How measured batches and the options chosen by them look: a table, JSON, and what to type."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from batching.tuning import Advice
from schemas.model_config import LOADING, POLICY, SPLIT, WARMUP, BatchingOptions, ModelConfig
from schemas.traffic_split import TrafficSplit
from worker import batching_parameters
from worker.commands.output import styled, table
from worker.commands.version_texts import versions_text
from worker.run_measuring import BatchSource, Measured

COLUMNS = ("rows", "ms a batch (median)", "ms a batch (p99)", "rows/s", "speed-up")
_FLAGS: Mapping[str, str] = {POLICY: "--policy", WARMUP: "--warmup", LOADING: "--loading"}
"""The options of `headrace models set` that say a parameter as it stands in the record."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning has come to.

    Attributes:
        model: its name.
        version: that was measured.
        signature: likewise.
        config: the model's, present or made of the command line.
        source: of the inputs.
        measured: what was found.
        p99_ms: what was asked for; None: most throughput.
        advice: the options; None: nothing does it.
        problem: why nothing does; None where something does.
    """

    model: str
    version: int
    signature: str
    config: ModelConfig
    source: BatchSource
    measured: Measured
    p99_ms: float | None
    advice: Advice | None
    problem: str | None = None

    @property
    def options(self) -> BatchingOptions | None:
        """The batching options to set, with what was not measured as it is."""
        if self.advice is None:
            return None
        before = self.config.batching
        return BatchingOptions(
            self.advice.max_batch_rows,
            self.advice.batch_timeout_seconds,
            self.advice.allowed_batch_rows,
            None if before is None else before.max_enqueued_batches,
        )


def document(tuned: Tuned) -> dict[str, Any]:
    """For programs."""
    options = tuned.options
    return {
        "model": tuned.model,
        "version": tuned.version,
        "signature": tuned.signature,
        "inputs": tuned.source.what,
        "p99_ms": tuned.p99_ms,
        "sizes": [
            {
                "rows": each.rows,
                "median_ms": each.seconds * 1000,
                "p99_ms": each.p99_seconds * 1000,
                "rows_per_second": each.rows_per_second,
                "speed_up": each.rows_per_second / tuned.measured.costs[0].rows_per_second,
            }
            for each in tuned.measured.costs
        ],
        "first_runs": [
            {"rows": each.rows, "first_ms": each.seconds * 1000, "again_ms": each.again_seconds * 1000}
            for each in tuned.measured.first_runs
        ],
        "batching": None if options is None else block(options),
        "reasons": {} if tuned.advice is None else dict(tuned.advice.reasons),
        "problem": tuned.problem,
        "notes": list(notes(tuned)),
        "command": set_command(tuned),
    }


def renderables(tuned: Tuned) -> Iterator[RenderableType]:
    """For people."""
    yield styled(f"model {tuned.model!r} version {tuned.version}, signature {tuned.signature!r}", "bold")
    yield f"inputs: {tuned.source.what}"
    first = tuned.measured.costs[0]
    yield table(
        COLUMNS,
        (
            (
                f"{each.rows:,}",
                f"{each.seconds * 1000:,.3f}",
                f"{each.p99_seconds * 1000:,.3f}",
                f"{each.rows_per_second:,.0f}",
                f"{each.rows_per_second / first.rows_per_second:,.1f}",
            )
            for each in tuned.measured.costs
        ),
    )
    for note in notes(tuned):
        yield styled(note, "yellow")
    options = tuned.options
    if options is None or tuned.advice is None:
        return
    for name, reason in tuned.advice.reasons.items():
        yield styled(f"{name} {reason}", "")
    yield styled("for a file of `headrace models apply`:", "bold")
    yield styled(toml(tuned.model, options), "")
    command = set_command(tuned)
    if command is not None:
        yield styled("or to be typed, which sets the whole record:", "bold")
        yield styled(command, "")
    else:
        yield styled(
            "`headrace models set` cannot say all that this model's record does: put the block into what "
            "`headrace models list --output json` prints, and apply that",
            "bold",
        )


def notes(tuned: Tuned) -> Iterator[str]:
    """What one has to know beside the figures."""
    if tuned.measured.ended is not None:
        yield f"larger sizes were not measured: {tuned.measured.ended}"
    if tuned.source.guessed:
        yield (
            f"the costs hold for made-up inputs: {'; '.join(tuned.source.guessed)}; give requests as they come by "
            "--requests FILE"
        )
    if tuned.advice is not None:
        yield (
            f"requests of more than {tuned.advice.max_batch_rows:,} rows are refused with these options; "
            "--request-rows says how many the largest has"
        )


def block(options: BatchingOptions) -> dict[str, Any]:
    """The batching options that are said, by name."""
    return {name: value for name, value in options.to_wire().items() if value is not None}


def toml(model: str, options: BatchingOptions) -> str:
    """The block in a file of models."""
    name = model if _BARE_KEY.fullmatch(model) else json.dumps(model)
    lines = (f"{key} = {json.dumps(value)}" for key, value in block(options).items())
    return "\n".join((f"[models.{name}.batching]", *lines))


def set_command(tuned: Tuned) -> str | None:
    """The command that sets the model as it is, with these options; None where no command can say it all."""
    options, config = tuned.options, tuned.config
    if options is None or _is_more_than_a_command_says(config):
        return None
    words = ["headrace", "models", "set", tuned.model, "--base-path", config.base_path]
    words += ["--versions", versions_text(config.versions), "--loader", config.loader]
    for label, version in config.labels.items():
        words += ["--label", f"{label}={version}"]
    if config.split is not None:
        variants = TrafficSplit.parse(config.split).variants
        words += [word for each in variants for word in ("--split", f"{each.target}={each.weight:g}")]
    for name, flag in _FLAGS.items():
        if name in config.parameters:
            words += [flag, config.parameters[name].decode(errors="replace")]
    words += [word for each in batching_parameters.ALL for word in each.words(config.parameters)]
    sizes = ",".join(map(str, options.allowed_batch_rows or ())) or "none"
    words += ["--max-batch-rows", str(options.max_batch_rows)]
    words += ["--batch-timeout-seconds", f"{options.batch_timeout_seconds:g}"]
    words += ["--allowed-batch-rows", sizes]
    return shlex.join(words)


def _is_more_than_a_command_says(config: ModelConfig) -> bool:
    enqueued = None if config.batching is None else config.batching.max_enqueued_batches
    said = {SPLIT, *_FLAGS, *(each.name for each in batching_parameters.ALL)}
    return enqueued is not None or not config.parameters.keys() <= said
