"""How small tasks become one: micro-batching by rows and time, after TensorFlow's shared batch scheduler.

Here belongs whatever decides which tasks are processed together and when, and the arithmetic of rows that
goes with it. The scheduler is generic in the task: it knows rows and time. Kafka, TensorFlow, servables and replies do
not belong here; the package imports none of the others and can be used alone:

>>> import numpy as np
>>> from batching.batcher import Batcher
>>> def double(x):
...     return 2 * x
>>> with Batcher(double) as batcher:
...     pending = batcher.submit(np.array([1, 2, 3]))  # `await` it, or wait for its `result`
...     print(batcher(np.array([4, 5])), pending.result())
[ 8 10] [2 4 6]

`docs/batching.md` has whole programs. For tasks that are no arrays there is the scheduler itself:

>>> from batching.options import QueueOptions
>>> from batching.shared_scheduler import SharedScheduler
>>> class Numbers:
...     def __init__(self, x): self.x, self.rows = x, len(x)
...     def split(self, rows): return Numbers(self.x[:rows]), Numbers(self.x[rows:])
>>> with SharedScheduler(threads=1) as scheduler:
...     options = QueueOptions(max_batch_rows=4, batch_timeout_seconds=60)
...     queue = scheduler.add_queue("show", options, lambda batch: print([task.x for task in batch.tasks]))
...     for x in ([1, 2, 3], [4, 5]): queue.schedule(Numbers(x))
[[1, 2, 3], [4]]
[[5]]

In reading order: `errors`, `task` (what a caller puts in), `padding` (allowed sizes), `options` (of a queue),
`splitting` (where a task is cut), `batch`, `run_costs` and `run_line` (how long batches run), `padding_policy` (whether
a batch is padded or cut), `room_rules` (what is refused), `late_tasks` (what has waited too long), `queued_batches`
(what waits, and when it is due), `task_queue` (one queue's decisions), `lane` (its place), `merged` (several that leave
together), `shared_room` (who goes for whom), `turns` and `ready_order` (whose turn it is), `running` (who is stuck),
`spacing` (of starts), `in_flight` (how many), `waiting` (what threads sleep on), `sleepers` (who wakes whom), `ahead`
(of a busy device), `expiry` (who is out of time), `dispatcher` (the lock), `queue_statistics`, `observer` (what is
reported), `batch_queue` (the caller's side), `deadline_keeper` (a thread), `shared_scheduler` (the others);
by themselves `merging` (rows of arrays), `tuning` (options by measured costs), `latency_window` and `latency_control`
(options by latencies). Then the front door for functions of arrays: `ragged` (rows of unlike lengths), `arrays` (what
they take and give), `doorbell` (waking coroutines), `pending` (the future), `array_task`, `bisection` (who made a batch
fail), `array_batches` (a function on a batch), `room` (waiting for it), `byte_room` (of bytes), `layout_queues` (a
queue for each shape), `batcher`.

One lock guards all queues of a scheduler (`dispatcher`); it is held for decisions, never while a callback
runs. Threads start in `shared_scheduler` and `deadline_keeper` only. Of the front door's own locks only that of
`layout_queues`, which guards its table of queues, is held while another one is taken.
"""
