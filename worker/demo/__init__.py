"""The demo: real models, an embedded broker, a worker, and requests while version 2 takes over.

In reading order: `training` (the models, in a process of its own), `traffic` (the requests),
`worker_process`, `batch_rows`, `report` (what came of it).
"""
