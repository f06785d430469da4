"""The composition root: the one place that knows every concrete class."""

import functools
import logging
import platform
import socket

from lifecycle.threads import PeriodicStep, new_executor
from schemas.catalog import Catalog, default_catalog
from worker import managing, model_stores, process_tuning, release, stored_versions, thread_slices
from worker.access_rights import lacking_for_requests
from worker.arrivals import Arrivals
from worker.aspirations import Aspirations, Watch
from worker.cluster import Cluster
from worker.cluster_watch import ClusterWatch, answer_topics, needed_topics
from worker.control_loop import ControlLoop, ControlParts
from worker.control_thread import ControlThread
from worker.control_topic import ControlTopic
from worker.exit_codes import ExitCode
from worker.health import HealthServer, stalled
from worker.joining import JoinRule
from worker.kafka import client_config, clients
from worker.kafka.admin import Admin
from worker.kafka.client_config import Connection
from worker.kafka.errors import KafkaProblem
from worker.lazy_demand import LazyDemand
from worker.lazy_models import LazyLimits, LazyModels
from worker.log import Occasionally
from worker.metrics import Metrics, new_registry
from worker.metrics_models import ModelSeries
from worker.metrics_requests import requests_of_versions
from worker.model_queue_options import ModelQueueOptions
from worker.model_table import ModelTable
from worker.policies import ModelPolicies
from worker.queue_reports import QueueReports
from worker.request_clients import request_clients
from worker.request_path import RequestPath
from worker.servable_reports import ServableReports
from worker.settings import Settings
from worker.share_group import ShareGroup
from worker.status_topic import StatusTopic
from worker.topic_directory import TopicDirectory
from worker.worker_lease import WorkerIdentity, WorkerLease
from worker.worker_process import Side, WorkerProcess

log = logging.getLogger(__name__)


def run(settings: Settings) -> ExitCode:
    """Run a worker until a signal ends it; the log is set up by the caller.

    Raises:
        InvalidProperty: a Kafka client property is unknown, impossible, or headrace's own.
        SchemaFileError: a schema file of `wire.schema_files` cannot be used.
        OSError: the HTTP address cannot be listened on.
    """
    process_tuning.share_the_interpreter()
    thread_slices.run_soon()
    managing.freed_memory(settings).keep()
    return build(settings).run()


def build(settings: Settings) -> WorkerProcess:
    """Put a worker together; nothing is connected and no model is loaded yet.

    Raises:
        InvalidProperty: as `run`.
        OSError: as `run`.
    """
    catalog = _catalog(settings)
    where = connection(settings)
    metrics = Metrics(new_registry())
    metrics.describe(release.VERSION, settings.worker_id, settings.kafka.group)
    admin = clients.admin(where)
    demand = LazyDemand()
    side = _control_side(settings, where, admin, metrics, demand)
    queue = ShareGroup(admin, settings.kafka.group)

    def make_request_path() -> RequestPath:
        return RequestPath(
            settings,
            request_clients(settings, where, metrics, queue),
            table=side.table,
            manager=side.manager,
            directory=side.directory,
            catalog=catalog,
            metrics=metrics,
            demand=demand,
            on_idle=process_tuning.collect_while_idle,
        )

    look = queue.look if settings.delivery.mode == "queue" else lambda: None
    process = WorkerProcess(settings, side, make_request_path, look_beforehand=look)
    metrics.watch_poll_age(process.poll_age_seconds)
    if settings.http.port >= 0:
        process.health = _health(settings, metrics, process)
    return process


def connection(settings: Settings) -> Connection:
    """How every client of these settings reaches the cluster; commands use it too.

    Raises:
        InvalidProperty: as `run`.
    """
    kafka = settings.kafka
    return client_config.connection(kafka.bootstrap_servers, kafka.properties, kafka.command_config)


def _health(settings: Settings, metrics: Metrics, process: WorkerProcess) -> HealthServer:
    http = settings.http
    polls = stalled(process.poll_age_seconds, http.stalled_seconds)

    def live() -> list[str]:
        return [*polls(), *process.stuck(http.stuck_seconds)]

    try:
        return HealthServer((http.host, http.port), metrics.registry, live, process.not_ready)
    except OSError as error:
        process.close()
        raise OSError(
            error.errno,
            f"cannot listen on {http.host}:{http.port} for /metrics, /livez and /readyz ({error.strerror}); "
            "set http.port (--http-port) to another port, 0 for any free one, or -1 for none",
        ) from error


def _catalog(settings: Settings) -> Catalog:
    """Every schema that can be read; the process's own catalogue, so that the control topic is read by it too."""
    catalog = default_catalog()
    for path in settings.wire.schema_files:
        catalog.add_schema_file(path)
    return catalog


def _control_side(
    settings: Settings, where: Connection, admin: Admin, metrics: Metrics, demand: LazyDemand
) -> Side:
    (loaders, rules), named = managing.new_loaders(settings), managing.new_policies()
    table = ModelTable(loaders, named, rules)
    scan = rules.roots.guarded(stored_versions.scan)
    resources = managing.new_resources(settings)
    manager = managing.new_manager(
        settings.lifecycle, metrics, ModelPolicies(table, named, settings.lifecycle.policy), resources
    )
    aspirations = Aspirations(
        table,
        manager,
        loaders,
        directories=stored_versions.list_directories,
        executor=new_executor(1, "paths"),
        watch=Watch(
            settings.lifecycle.watch_seconds,
            managing.JITTER,
            functools.partial(Arrivals, settings.lifecycle.quiet_seconds, scan),
            scan,
            model_stores.look_executors(rules.roots),
        ),
        batch_rows=managing.warmed_rows(ModelQueueOptions(settings.batching, table)),
    )
    limits = LazyLimits(settings.lifecycle.most_lazy_models, settings.lifecycle.lazy_idle_seconds)
    lazy = LazyModels(table, manager, resources, demand, metrics.lazy, limits=limits)
    manager.make_room_by(lazy.may_make_room)
    checked = settings.topics.control_check == "checked"
    topic = ControlTopic(
        settings.topics.control,
        functools.partial(clients.reader, where),
        admin if checked else None,
    )
    occasionally = Occasionally(log, seconds=30.0)

    def on_problem(problem: KafkaProblem) -> None:
        occasionally.warning(
            "the status producer has a problem", key=type(problem).__name__, problem=str(problem)
        )

    # Twice the same word does no harm, an older one after a newer would; and a producer that is not idempotent is never
    # beyond repair.
    in_order = {"max.in.flight.requests.per.connection": 1}
    producer = clients.producer(where, on_problem, in_order, idempotent=False)
    status = StatusTopic(producer, settings.topics.status, user=where.user)
    reports = ServableReports(
        settings.worker_id,
        table,
        manager,
        aspirations.follows,
        status,
        requests=functools.partial(requests_of_versions, metrics.requests),
        queues=QueueReports(metrics.queues.counts, metrics.objectives.now),
    )
    manager.bus.subscribe(reports.heard)
    identity = WorkerIdentity(
        settings.worker_id,
        settings.kafka.group,
        socket.gethostname() or platform.node(),
        release.VERSION,
        settings.status.interval_seconds,
        settings.status.lease_seconds,
    )
    join = JoinRule(settings.join.when, settings.join.without_models, settings.join.timeout_seconds)
    control = ControlLoop(
        ControlParts(
            topic,
            table,
            aspirations,
            manager,
            reports,
            status,
            WorkerLease(identity, status),
            join,
            metrics.control,
            lazy,
        ),
        on_settled=functools.partial(manager.set_load_threads, max(1, settings.lifecycle.load_threads)),
    )
    directory = TopicDirectory(Cluster(admin, can_tell_limits=checked), assume_existing=not checked)
    watch = ClusterWatch(
        directory,
        needed_topics(settings),
        answer_topics(settings),
        topic_ids=admin.topic_ids if checked else None,
    )
    series = ModelSeries(metrics, table, manager.states)

    def keep_house() -> None:
        series.step()
        metrics.memory.tell(resources)
        watch.step()

    return Side(
        control=control,
        thread=ControlThread(control, demand=demand),
        manager=manager,
        table=table,
        directory=directory,
        watch=watch,
        housekeeping=PeriodicStep(keep_house, 1.0, "topics"),
        lacking=functools.partial(lacking_for_requests, admin, settings) if checked else lambda: None,
    )
