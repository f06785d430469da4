"""What settings must not say together: rules over more than one field, as pure functions of the groups."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.ragged_options import RaggedOptions
from worker.settings_claims import ClaimsSettings
from worker.settings_kafka import Binding, TopicsSettings
from worker.settings_lifecycle import LifecycleSettings
from worker.settings_model_cache import ModelCacheSettings
from worker.settings_operation import HttpSettings, StatusSettings
from worker.settings_serving import BatchingSettings, DeliverySettings, LimitsSettings
from worker.store_uris import is_remote


class Configuration(Protocol):
    """The groups that the rules look at; `worker.settings.Settings` has them."""

    @property
    def topics(self) -> TopicsSettings:
        """Which topics the deployment has."""

    @property
    def bindings(self) -> Sequence[Binding]:
        """Which requests are answered by what."""

    @property
    def delivery(self) -> DeliverySettings:
        """How much is read ahead."""

    @property
    def batching(self) -> BatchingSettings:
        """How requests become batches."""

    @property
    def limits(self) -> LimitsSettings:
        """What one request may be."""

    @property
    def lifecycle(self) -> LifecycleSettings:
        """Where models may lie."""

    @property
    def model_cache(self) -> ModelCacheSettings:
        """Where what lies in stores is copied."""

    @property
    def claims(self) -> ClaimsSettings:
        """What may lie outside the records."""

    @property
    def http(self) -> HttpSettings:
        """What is served over HTTP."""

    @property
    def status(self) -> StatusSettings:
        """How often a sign of life is sent."""


@dataclass(frozen=True)
class Contradiction:
    """Two settings that cannot both hold, told at the one that should change."""

    field: str
    """The dotted name of the setting to change."""
    message: str


class ContradictionsError(ValueError):
    """The settings are well formed one by one, but contradict each other."""

    def __init__(self, contradictions: tuple[Contradiction, ...]) -> None:
        super().__init__("; ".join(f"{c.field}: {c.message}" for c in contradictions))
        self.contradictions = contradictions


def contradictions(settings: Configuration) -> tuple[Contradiction, ...]:
    """Everything that is wrong between fields; empty when the settings can be used."""
    return tuple(
        Contradiction(field, message)
        for rule in (_names, _shares, _topics, _ways, _times, _sizes, _threads, _ragged, _stores)
        for field, message in rule(settings)
    )


def _names(settings: Configuration) -> Iterator[tuple[str, str]]:
    if not settings.bindings:
        yield "bindings", "at least one binding is needed, or no request would be read"
    for name, count in Counter(binding.name for binding in settings.bindings).items():
        if count > 1:
            yield "bindings", f"{count} bindings are named {name!r}; a name may be used once"


def _shares(settings: Configuration) -> Iterator[tuple[str, str]]:
    total = sum(binding.share for binding in settings.bindings)
    if total > 1 + 1e-9:
        yield "bindings", f"the shares of all bindings together are {total:g}; they must not be more than 1"


def _topics(settings: Configuration) -> Iterator[tuple[str, str]]:
    control, status = settings.topics.control, settings.topics.status
    if control == status:
        yield "topics.status", f"{status!r} is the control topic already"
    taken = {control: "the control topic", status: "the status topic"}
    for binding in settings.bindings:
        for topic in binding.request_topics:
            if topic in taken:
                yield (
                    "bindings",
                    f"binding {binding.name!r}: request topic {topic!r} is {taken[topic]} already",
                )
            taken.setdefault(topic, f"a request topic (binding {binding.name!r})")
    dead_letters: dict[str, str] = {}
    for binding in settings.bindings:
        for topic in sorted(binding.dead_letter_topics()):
            if topic in taken:
                yield (
                    "bindings",
                    f"binding {binding.name!r}: dead-letter topic {topic!r} is {taken[topic]} already",
                )
            dead_letters.setdefault(topic, f"a dead-letter topic (binding {binding.name!r})")
    taken = dead_letters | taken
    for binding in settings.bindings:
        if (use := taken.get(binding.reply_topic)) is not None:
            yield (
                "bindings",
                f"binding {binding.name!r}: reply topic {binding.reply_topic!r} is {use} already",
            )


def _ways(settings: Configuration) -> Iterator[tuple[str, str]]:
    if settings.delivery.mode == "queue" and settings.delivery.reply_order == "partition":
        why = "a queue deals requests of one partition out to many workers (delivery.mode is queue)"
        yield "delivery.reply_order", f"{why}; use any"


def _times(settings: Configuration) -> Iterator[tuple[str, str]]:
    interval, lease = settings.status.interval_seconds, settings.status.lease_seconds
    if lease < 2 * interval:
        why = "one late sign of life would make a worker count as gone"
        yield (
            "status.lease_seconds",
            f"{lease:g} is less than twice status.interval_seconds ({interval:g}): {why}",
        )
    stalled, drain = settings.http.stalled_seconds, settings.delivery.revoke_drain_seconds
    if stalled <= drain:
        why = "a rebalance that drains would look like a loop that hangs"
        yield (
            "http.stalled_seconds",
            f"{stalled:g} is not more than delivery.revoke_drain_seconds ({drain:g}): {why}",
        )


def _sizes(settings: Configuration) -> Iterator[tuple[str, str]]:
    sizes, most = settings.batching.allowed_batch_rows, settings.batching.max_batch_rows
    if sizes and (list(sizes) != sorted(set(sizes)) or sizes[-1] != most):
        yield (
            "batching.allowed_batch_rows",
            f"{list(sizes)} does not increase up to batching.max_batch_rows ({most})",
        )
    record, budget = settings.limits.record_bytes, settings.delivery.budget_bytes
    part = int(budget * min((binding.share for binding in settings.bindings), default=1.0))
    if record > part:
        why = "one record alone would not fit"
        yield (
            "limits.record_bytes",
            f"{record} is more than the smallest binding's part of delivery.budget_bytes ({part}): {why}",
        )
    claims = settings.claims
    if claims.roots and claims.request_bytes > part:
        why = "one request's data alone would not fit"
        yield (
            "claims.request_bytes",
            f"{claims.request_bytes} is more than the smallest binding's part of delivery.budget_bytes ({part}): {why}",
        )


def _threads(settings: Configuration) -> Iterator[tuple[str, str]]:
    scheduler, threads = settings.batching.scheduler, settings.batching.threads
    if scheduler != "shared" and threads < 2:
        what = f"{scheduler} chooses how many of batching.threads ({threads}) are with a batch at a time"
        yield "batching.scheduler", f"{what}: set batching.threads to 8, say (at least 2), or use shared"


def _ragged(settings: Configuration) -> Iterator[tuple[str, str]]:
    own = settings.batching
    for problem in RaggedOptions(buckets=own.ragged_buckets).problems():
        yield "batching.ragged_buckets", problem
    for problem in RaggedOptions(pad_values=own.ragged_pad_values).problems():
        yield "batching.ragged_pad_values", problem


def _stores(settings: Configuration) -> Iterator[tuple[str, str]]:
    remote = [root for root in settings.lifecycle.base_path_roots if is_remote(root)]
    if remote and not settings.model_cache.folder:
        why = "versions have to be copied to this machine before they are loaded"
        yield "model_cache.folder", f"it is empty, and lifecycle.base_path_roots names {remote[0]!r}: {why}"
