"""What manages the worker's models, put together from settings: loaders, policies, threads, and the manager itself."""

import logging
from collections.abc import Callable, Mapping, Sequence

from lifecycle.aspired_version_policy import AspiredVersionPolicy
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader import Loader
from lifecycle.loader_harness import LoadOptions
from lifecycle.measured_loader import MeasuredLoader, Undisturbed
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST, Device
from lifecycle.saved_model_devices import gpu_memory
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_session import SessionOptions
from lifecycle.threads import Executor, new_executor
from lifecycle.warmup import WarmupMode
from worker import custom_loaders, model_stores, operator_rules, policies, thread_slices, usable_memory
from worker.base_path_roots import BasePathRoots
from worker.freed_memory import FreedMemory, GivingLoader
from worker.loaders import Life, LoaderFactory, Loaders, placed, shipped
from worker.metrics import Metrics
from worker.metrics_observers import ModelMetrics
from worker.model_log import log_event
from worker.model_queue_options import ModelQueueOptions
from worker.operator_rules import OperatorRules
from worker.readiness import Readiness
from worker.rooted_loader import rooted
from worker.settings import Settings
from worker.settings_lifecycle import LifecycleSettings
from worker.topic_plan import own_topics
from worker.usable_cores import usable_cores

_log = logging.getLogger(__name__)

FREED_SHARE = 2  # of what requests took, about that part is kept for the next
INITIAL_LOADS_A_CORE = 4  # as TensorFlow Serving: a load waits for its storage most of the time
JITTER = (
    0.25  # of waits (before failed loads are tried again, between looks), the part that chance may take away
)


def new_loaders(settings: Settings) -> tuple[Loaders, OperatorRules]:
    """Our own and those that are installed beside them, as far as they are enabled; and what records may ask for."""
    own = settings.tensorflow
    session = SessionOptions(own.intra_op_threads or usable_cores(), own.inter_op_threads, own.granular_calls)
    graphs = GraphRules(frozenset(settings.lifecycle.allowed_operations), settings.lifecycle.most_graph_bytes)
    ours = shipped(session, graphs, settings.lifecycle.python_modules)
    custom = custom_loaders.find(ours)
    everything = {**ours, **custom.factories}
    named = frozenset(settings.lifecycle.loaders) or frozenset(everything)
    problems = [
        f"{operator_rules.LOADERS_SETTING} names {each!r}, which is not here; there are {', '.join(sorted(everything))}"
        for each in sorted(named - everything.keys())
    ]
    for problem in (*custom.problems, *problems):
        _log.error("a loader cannot be used", extra={"problem": problem})
    rules = OperatorRules(
        roots=BasePathRoots(settings.lifecycle.base_path_roots, copies=settings.model_cache.folder),
        disabled_loaders=frozenset(everything) - named,
        most_models=settings.lifecycle.most_models,
        most_versions=settings.lifecycle.most_versions,
        own_topics=own_topics(settings),
        reply_topics=[pattern for b in settings.bindings for pattern in b.allowed_reply_topics],
    )
    memory, undisturbed = freed_memory(settings), Undisturbed()
    warmup = WarmupMode.FAIL if settings.lifecycle.warmup else WarmupMode.OFF
    readiness = Readiness(warmup, settings.batching.max_batch_bytes, settings.batching.threads)

    def wrap(loader: Loader, life: Life) -> Loader:
        return MeasuredLoader(readiness.around(GivingLoader(loader, memory), life), undisturbed)

    def kept(factories: Mapping[str, LoaderFactory]) -> Mapping[str, LoaderFactory]:
        return {name: rooted(factory, rules.roots) for name, factory in factories.items() if name in named}

    def on_device(device: str) -> Mapping[str, LoaderFactory]:
        return kept(placed(session, graphs)(device))

    return Loaders(kept(everything), wrap, model_stores.new_fetching(settings), on_device), rules


def warmed_rows(options: ModelQueueOptions) -> Callable[[str], Sequence[int]]:
    """The rows of the batches by which a model's versions are warmed up: each that it is run at, where that is said."""

    def of(model: str) -> Sequence[int]:
        return options.sizes(model) or (1,)

    return of


def new_policies() -> Mapping[str, AspiredVersionPolicy]:
    """Our own and those that are installed beside them."""
    offers = policies.find()
    for problem in offers.problems:
        _log.error("a policy cannot be used", extra={"problem": problem})
    return policies.all_policies(offers)


def freed_memory(settings: Settings) -> FreedMemory:
    """Gives memory back that requests took, but for what the next ones will take."""
    return FreedMemory(settings.delivery.budget_bytes // FREED_SHARE)


def new_resources(
    settings: Settings, gpus: Callable[[], Mapping[Device, int]] = gpu_memory
) -> ResourceTracker:
    """Sets memory aside for models, up to the limits that are set or measured."""
    own = settings.lifecycle
    measured = usable_memory.for_models(settings.delivery.budget_bytes)

    def limit_of(device: Device) -> int | None:
        setting = own.host_memory_bytes if device == HOST else own.gpu_memory_bytes
        if setting:
            return setting if setting > 0 else None
        return measured if device == HOST else gpus().get(device)

    return ResourceTracker(
        limit_of, "raise lifecycle.host_memory_bytes or lifecycle.gpu_memory_bytes (-1: no limit)"
    )


def _backoff(first_seconds: float, most_seconds: float) -> Backoff:
    return Backoff(first_seconds, max(first_seconds, most_seconds), JITTER)


def _initial_load_threads(own: LifecycleSettings) -> int:
    return own.initial_load_threads or max(own.load_threads, INITIAL_LOADS_A_CORE * usable_cores())


def new_manager(
    own: LifecycleSettings, metrics: Metrics, policy: AspiredVersionPolicy, resources: ResourceTracker
) -> AspiredVersionsManager:
    """The manager of the worker's models; its changes are counted and logged."""

    def executor(threads: int, name: str) -> Executor:
        return new_executor(threads, name, on_start=thread_slices.run_as_usual)

    manager = AspiredVersionsManager(
        AspiredVersionsManagerOptions(
            step_interval_seconds=own.step_seconds,
            retry_failed=_backoff(own.retry_failed_seconds, own.most_retry_failed_seconds),
            reload_failed_when_aspired_again=True,
            policy=policy,
            basic=BasicManagerOptions(
                load=LoadOptions(
                    own.load_retries,
                    _backoff(own.retry_interval_seconds, own.most_retry_interval_seconds),
                    own.load_timeout_seconds,
                )
            ),
        ),
        Surroundings(
            # Until requests are taken nobody waits for a core.
            load_executor=executor(own.load_threads and _initial_load_threads(own), "lifecycle-load"),
            unload_executor=executor(own.unload_threads, "lifecycle-unload"),
            resources=resources,
        ),
    )
    manager.bus.subscribe(ModelMetrics(metrics))
    manager.bus.subscribe(log_event)
    return manager
