"""Which functions of headrace make up which stage of a request's way, for `make profile`."""

from collections.abc import Mapping, Sequence

STAGES: Mapping[str, Sequence[str]] = {
    "poll": ("worker.kafka.confluent_consumer:ConfluentConsumer.poll",),
    "columns": (
        "worker.polled_records:PolledRecords.__init__",
        "worker.polled_records:PolledRecords.make_runs",
    ),
    "decode": ("schemas.request_decoder:RequestDecoder.decode",),
    "track": ("worker.offset_tracker:OffsetTracker.add", "worker.budget:Budget.take_run"),
    "admit": ("worker.admission:Admission.admit",),
    "route": ("worker.router:Router.route",),
    "queue": ("worker.batch_queues:BatchQueues.put", "worker.batch_queues:BatchQueues.step"),
    "intake, the rest": ("worker.intake:Intake.take",),
    "form batches": ("batching.dispatcher:Dispatcher.next_batch", "batching.dispatcher:Dispatcher.finish"),
    "join": ("worker.batch_inputs:stack",),
    "TensorFlow call": ("lifecycle.saved_model_servable:SavedModelServable.run",),
    "split": ("batching.merging:split_rows",),
    "encode": ("schemas.reply_columns:encode_replies", "schemas.ragged_replies:encode_replies"),
    "batch, the rest": ("worker.inference:Inference.process",),
    "hand over": ("worker.publisher:Publisher.replies",),
    "produce": ("worker.kafka.confluent_producer:ConfluentProducer.send",),
    "reports": ("worker.publisher:Publisher.serve",),
    "settle": ("worker.settlement:Settlement.settled",),
    "commit": ("worker.committer:Committer.step", "worker.settlement:Settlement.committed"),
    "flow control": ("worker.flow_control:FlowControl.step",),
    "gauges": ("worker.gauges:Gauges.step",),
    "poll loop, the rest": ("worker.poll_loop:PollLoop.step",),
}
"""In the order of a request's way. Functions that are called a few times a block, never once a record: so the timing
costs little, and what it says is true."""
