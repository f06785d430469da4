"""`headrace request`: ask a model in TensorFlow Serving's JSON, and print its reply."""

import json
import sys
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.commands.failure import CommandFailedError, exit_code_of
from worker.commands.options import binding_options, setting_option, settings_options
from worker.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from worker.client import Client, Prediction, RequestFields
    from worker.client_errors import NotSent
    from worker.fleet_reader import FleetReader
    from worker.known_signatures import KnownModel
    from worker.rest_json import PredictDocument
    from worker.settings import Settings
    from worker.settings_kafka import Binding
    from worker.settings_loading import Loaded

DEFAULT_SIGNATURE = "serving_default"


@click.command()
@click.argument("name")
@click.option(
    "--json", "text", metavar="TEXT", help="The request: '{\"instances\": [...]}' or '{\"inputs\": ...}'."
)
@click.option(
    "--file",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="A file with the request; - reads standard input.",
)
@click.option(
    "--version",
    metavar="N",
    type=click.IntRange(min=0),
    help="The version to ask. Default: the latest available.",
)
@click.option("--label", help="The version with this label.")
@click.option("--signature", help=f"The signature to run. Default: {DEFAULT_SIGNATURE}.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="How long to wait for the reply.",
)
@click.option(
    "--priority",
    metavar="0-9",
    type=click.IntRange(0, 9),
    help="Requests of a higher one are run first. Default: what the model's config says.",
)
@click.option("--key", help="Key of the request record; the reply has it too.")
@click.option(
    "--output",
    "form",
    type=click.Choice(["reply", "json", "golden"]),
    default="reply",
    show_default=True,
    help="The reply as TensorFlow Serving writes it, the same with model, version and latency beside it, or a golden "
    "request: the request and this reply, on a line.",
)
@settings_options
@binding_options
@setting_option(
    "--status-topic", "topics.status", "Topic on which workers say what they serve.", metavar="TOPIC"
)
def request(
    loaded: "Loaded", /, name: str, text: str | None, path: Path | None, form: str, **fields: Any
) -> None:
    """Ask the model NAME, and print its reply.

    The request is what TensorFlow Serving's REST API takes: {"instances": [...]} in rows or {"inputs": ...} in
    columns, with {"b64": "..."} for bytes, and "signature_name" if need be. Its numbers become what the signature
    wants, as the live workers report it. The reply on standard output is JSON; which version has answered is said on
    standard error.

    \b
      headrace request digits --json '{"instances": [[0, 0.5, ...]]}'
      headrace request digits --file rows.json --label stable --output json
      headrace request digits --file rows.json --output golden >> golden.jsonl
    """  # noqa: D301 - \b keeps click from joining the examples' lines
    from worker.commands.control_access import access_of  # noqa: PLC0415 - --help needs no Kafka

    document = _parse(text, path)
    signature = _signature(fields["signature"], document.signature)
    document = replace(document, signature=signature)
    question = Question(
        name,
        document,
        fields["version"],
        fields["label"],
        fields["timeout"],
        fields["key"],
        fields["priority"],
    )
    settings = loaded.settings
    known = look_up(access_of(settings).watching, name)
    with _client(settings, binding_of(settings, name)) as client:
        prediction, seconds = ask(client, question, signature, known)
    show(prediction, question, seconds, form)


@dataclass(frozen=True)
class Question:
    """What was asked on the command line, but for the signature."""

    model: str
    document: "PredictDocument"
    version: int | None
    label: str | None
    timeout_seconds: float
    key: str | None
    priority: int | None = None


def look_up(watching: "Callable[[], AbstractContextManager[FleetReader]]", model: str) -> "KnownModel":
    """What the live workers report of a model; nothing where there is no status topic.

    Raises:
        KafkaProblem: the status topic is there and cannot be read, or no broker answers.
    """
    from worker.fleet import Fleet  # noqa: PLC0415 - --help needs none of it
    from worker.kafka.errors import TopicMissing  # noqa: PLC0415 - likewise
    from worker.known_signatures import known_model  # noqa: PLC0415 - likewise

    try:
        with watching() as reader:
            return known_model(reader.fleet, reader.now_ms(), model)
    except TopicMissing as problem:
        _note(f"{problem}; types are guessed")
        return known_model(Fleet(), 0.0, model)


def ask(
    client: "Client", question: Question, signature: str, known: "KnownModel"
) -> "tuple[Prediction, float]":
    """Send the request, and give the prediction and the seconds that it took.

    Raises:
        CommandFailedError: the JSON does not fit the signature, or the answer is an error, or there is none.
    """
    from schemas.errors import WireError  # noqa: PLC0415 - --help needs none of it
    from worker.client_errors import NoReply, NotSent, PredictError  # noqa: PLC0415 - likewise

    inputs = _inputs(question, signature, known)
    fields: RequestFields = {
        "version": question.version,
        "label": question.label,
        "signature": signature,
        "timeout_seconds": question.timeout_seconds,
        "key": question.key,
        "priority": question.priority,
    }
    began = time.monotonic()
    try:
        prediction = client.predict(question.model, inputs, **fields)
    except NotSent as error:
        raise CommandFailedError(str(error), _why_not_sent(error)) from error
    except NoReply as error:
        raise CommandFailedError(f"{error.message}: {known.advice(question.version)}") from error
    except PredictError as error:
        raise CommandFailedError(str(error)) from error
    except WireError as error:
        raise CommandFailedError(str(error), ExitCode.USAGE) from error
    return prediction, time.monotonic() - began


def show(prediction: "Prediction", question: Question, seconds: float, form: str) -> None:
    """Print the reply on standard output and who gave it on standard error, or all of it in one document.

    Args:
        prediction: what was answered.
        question: what was asked.
        seconds: how long that took.
        form: `reply`; `json` for the one document; `golden` for the request with its reply in place of the reply alone.
    """
    from worker import request_lines, rest_json  # noqa: PLC0415 - --help needs none of it
    from worker.rest_json_errors import InvalidJson  # noqa: PLC0415 - likewise

    try:
        reply = rest_json.reply(prediction.outputs, question.document.layout)
    except InvalidJson as error:
        raise CommandFailedError(f"the reply cannot be shown: {error}") from error
    milliseconds = round(seconds * 1000, 1)
    if form == "json":
        about = {"model": prediction.model, "version": prediction.version, "milliseconds": milliseconds}
        sys.stdout.write(json.dumps(about | reply, ensure_ascii=False) + "\n")
        return
    if form == "golden":
        sys.stdout.write(request_lines.line_of(rest_json.document_of(question.document) | reply) + "\n")
    else:
        sys.stdout.write(_lines(reply) + "\n")
    _note(f"version {prediction.version} of {prediction.model} answered in {milliseconds} ms")


def binding_of(settings: "Settings", model: str) -> "Binding":
    """The first binding that serves a model.

    Raises:
        CommandFailedError: none does.
    """
    for binding in settings.bindings:
        if any(fnmatchcase(model, pattern) for pattern in binding.models):
            return binding
    raise CommandFailedError(f"no binding of the settings serves the model '{model}'", ExitCode.USAGE)


def _parse(text: str | None, path: Path | None) -> "PredictDocument":
    from worker import rest_json  # noqa: PLC0415 - --help needs none of it
    from worker.rest_json_errors import InvalidJson  # noqa: PLC0415 - likewise

    if (text is None) == (path is None):
        raise click.UsageError("give the request either with --json or with --file")
    if path is not None:
        raw: str | bytes = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    else:
        raw = text or ""
    try:
        return rest_json.parse(raw)
    except InvalidJson as error:
        raise CommandFailedError(f"the request is not usable: {error}", ExitCode.USAGE) from error


def _signature(flag: str | None, in_document: str | None) -> str:
    if flag is not None and in_document is not None and flag != in_document:
        raise click.UsageError(f"--signature is '{flag}', and the request's signature_name '{in_document}'")
    return flag or in_document or DEFAULT_SIGNATURE


def _inputs(question: Question, signature: str, known: "KnownModel") -> "Mapping[str, Any]":
    from worker.known_signatures import UnknownSignature  # noqa: PLC0415 - --help needs none of it
    from worker.rest_json_errors import InvalidJson  # noqa: PLC0415 - likewise

    try:
        dtypes = known.inputs(signature, question.version)
        return question.document.tensors(dtypes)
    except UnknownSignature as error:
        raise CommandFailedError(str(error), ExitCode.USAGE) from error
    except InvalidJson as error:
        if not known.available:
            # What is wrong is not the request: nobody can tell how its names are to be read.
            raise CommandFailedError(known.advice(question.version)) from error
        raise CommandFailedError(f"the request is not usable: {error}", ExitCode.USAGE) from error


def _client(settings: "Settings", binding: "Binding") -> "Client":
    from worker.client import DEFAULT_REPLY_TOPIC, Client  # noqa: PLC0415 - --help needs no Kafka
    from worker.commands.connecting import connection_of  # noqa: PLC0415 - likewise

    where = connection_of(settings)
    return Client(
        where.bootstrap_servers,
        request_topic=binding.request_topics[0],
        reply_topic=None if binding.reply_topic == DEFAULT_REPLY_TOPIC else binding.reply_topic,
        properties=where.properties,
        trusted_roots=[root] if (root := settings.claims.write_root) else [],
    )


def _why_not_sent(error: "NotSent") -> ExitCode:
    cause = error.__cause__
    return (exit_code_of(cause) if isinstance(cause, Exception) else None) or ExitCode.FAILED


def _lines(reply: "Mapping[str, object]") -> str:
    """JSON with one row a line, which is how people read predictions."""
    ((key, value),) = reply.items()
    if not isinstance(value, list) or not value:
        return json.dumps(reply, ensure_ascii=False)
    shown = ",\n    ".join(json.dumps(row, ensure_ascii=False) for row in value)
    return f"{{\n  {json.dumps(key)}: [\n    {shown}\n  ]\n}}"


def _note(text: str) -> None:
    """Something for people, beside the result."""
    click.echo(text, err=True)
