"""The defaults, frozen: a change of one concerns every deployment, and belongs into the changelog."""

from worker.settings import Settings

DEFAULTS = {
    "kafka": {
        "bootstrap_servers": "localhost:9092",
        "group": "headrace",
        "command_config": None,
        "properties": {},
        "consumer_properties": {},
        "producer_properties": {},
    },
    "topics": {"control": "headrace.control", "status": "headrace.status", "control_check": "checked"},
    "bindings": (
        {
            "name": "default",
            "request_topics": ("headrace.requests",),
            "models": ("*",),
            "reply_topic": "headrace.replies",
            "allowed_reply_topics": (),
            "dead_letter_topic": None,
            "share": 1.0,
        },
    ),
    "delivery": {
        "mode": "at_least_once",
        "transaction_seconds": 0.1,
        "queue_records": 500,
        "budget_rows": 262_144,
        "budget_bytes": 268_435_456,
        "commit_interval_seconds": 0.5,
        "revoke_drain_seconds": 20.0,
        "shutdown_seconds": 25.0,
        "poll_records": 8192,
        "model_share": 0.5,
        "reply_order": "any",
        "failing_ratio": 0.9,
        "failing_requests": 1000,
        "failing_pause_seconds": 10.0,
        "unmoved_seconds": 60.0,
        "on_offset_out_of_range": "stop",
        "request_coordinates": False,
        "carried_headers": ("traceparent", "tracestate"),
    },
    "holding": {"loading_seconds": 10.0, "topic_seconds": 5.0},
    "batching": {
        "max_batch_rows": 1024,
        "max_batch_bytes": 67_108_864,
        "batch_timeout_seconds": 0.0,
        "allowed_batch_rows": (),
        "max_enqueued_batches": 8,
        "threads": 1,
        "stuck_seconds": 0.05,
        "attempts": 3,
        "attempts_seconds": 2.0,
        "overlap_seconds": 0.005,
    },
    "lifecycle": {
        "load_threads": 2,
        "unload_threads": 1,
        "load_retries": 5,
        "retry_interval_seconds": 10.0,
        "retry_failed_seconds": 60.0,
        "load_timeout_seconds": 600.0,
        "policy": "availability_preserving",
        "warmup": True,
        "step_seconds": 0.1,
    },
    "tensorflow": {"intra_op_threads": 0, "inter_op_threads": -1},
    "claims": {
        "roots": (),
        "write_root": "",
        "request_bytes": 67_108_864,
        "threads": 4,
        "seconds": 30.0,
        "keep_seconds": 86_400.0,
    },
    "join": {"when": "settled", "without_models": False, "timeout_seconds": 600.0, "instance_seconds": 90.0},
    "limits": {
        "record_bytes": 16_777_216,
        "header_bytes": 65_536,
        "tensors": 256,
        "dims": 16,
        "rows": 65_536,
    },
    "wire": {"schema_files": ()},
    "http": {"host": "127.0.0.1", "port": 9464, "stalled_seconds": 60.0, "stuck_seconds": 1800.0},
    "log": {"format": "text", "level": "info"},
    "status": {"interval_seconds": 5.0, "lease_seconds": 15.0},
}


def test_defaults_are_these() -> None:
    """Each default is what it was when it was last decided."""
    assert Settings(worker_id="w").model_dump() == {"worker_id": "w", **DEFAULTS}
