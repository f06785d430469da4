"""The demo: real models, an embedded broker, a worker, and requests while version 2 takes over.

What belongs here: everything that only a demonstration needs. What does not: anything that a user of headrace could
need, which is somewhere in `worker` and used from here as a user would use it.

In reading order:

* `play` - what happens, one step after the other
* `training` - the models, in a process of its own
* `stage` - the broker, its topics, and the settings that all share
* `worker_process` - processes that are started, watched and ended
* `traffic` - the requests
* `batch_rows` - the worker's batches, from its metrics page
* `report` - what came of it all, and the verdict
* `screen` - how it looks
* `interruption` - Ctrl-C
"""
