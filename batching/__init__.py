"""How small tasks become one: micro-batching by rows and time, after TensorFlow's shared batch scheduler.

Here belongs whatever decides which tasks are processed together and when, and the arithmetic of rows that
goes with it. It is generic in the task: it knows rows and time. Kafka, TensorFlow, servables, tensors' names
and replies do not belong here; the package imports none of the others and can be used alone:

>>> import numpy as np
>>> from batching import merging, options, shared_scheduler
>>> class Numbers:
...     def __init__(self, x): self.x, self.rows = x, len(x)
...     def split(self, rows): return Numbers(self.x[:rows]), Numbers(self.x[rows:])
>>> def double(batch):
...     merged = merging.merge([task.x for task in batch.tasks], batch.padded_rows)
...     print(merging.split_rows(2 * merged, [task.rows for task in batch.tasks], batch.padded_rows))
>>> four_at_a_time = options.QueueOptions(max_batch_rows=4, batch_timeout_seconds=60)
>>> with shared_scheduler.SharedScheduler(threads=1) as scheduler:
...     queue = scheduler.add_queue("double", four_at_a_time, double)
...     for x in ([1, 2, 3], [4, 5]): queue.schedule(Numbers(np.array(x)))
[array([2, 4, 6]), array([8])]
[array([10])]

In reading order: `errors`, `task` (what a caller puts in), `padding` (allowed sizes), `options` (of a queue),
`batch`, `splitting` (where a task is cut), `task_queue` (one queue's decisions), `ready_order` (whose turn it
is), `running` (who is stuck), `waiting` (what threads sleep on), `dispatcher` (the lock, and who wakes whom),
`queue_statistics`, `observer` (what is reported), `batch_queue` (the caller's side), `shared_scheduler` (the
threads); and by itself `merging` (rows of arrays).

One lock guards all queues of a scheduler (`dispatcher`); it is held for decisions, never while a callback
runs. Threads start in `shared_scheduler` only.
"""
