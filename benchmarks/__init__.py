"""How fast headrace is, beside what one would write instead, on the same broker in the same run.

`make bench` runs `__main__`: a scenario sets up a broker and its topics, and then measures its contenders in turn, in
several rounds. `--scenario` names another than `small_records`; `--scenario all` runs every one.

What a scenario is, and where its results go:

* `scenario`: what a scenario takes and gives
* `scenarios`: the scenarios, one a module
* `catalogue`: finds them by name
* `report`: the table and the JSON file
* `plots`: draws them
* `pages`: puts kept results into the README and docs/performance.md

What scenarios are made of:

* `cores`: which core does what
* `brokers`: the broker
* `topics`: fresh topics on it, and the models of the control topic
* `processes`: pinned, quiet, ended for certain
* `measuring`: rates and CPU time, from outside the process that is measured
* `turns`: round after round, each contender once
* `comparison`: rates and costs by those of the baselines
* `side_by_side`: echo, hand loop and headrace, the whole way
* `mlserver_runs`: runs of MLServer, which is given requests as it answers them
* `large_side_by_side`: headrace and a baseline with large records, in bytes
* `prepared_worker`: headrace alone on a topic of requests, for scenarios that compare sizes

headrace alone:

* `idle_kafka`: Kafka clients that cost next to nothing
* `idle_path`: a request path in this process, between them

Latency:

* `open_loop`: the process that sends requests on schedule and reads the replies
* `schedule`: when each is due, and waits that end when they should
* `reply_times`: when the replies came
* `latency_figures`: percentiles

Memory over a long time (`make soak`):

* `soak`: one worker at full load, looked at each second
* `soak_load`: the process that sends the requests
* `trend`: the slope of what was seen, and how sure it is

Devices that Python must not keep waiting:

* `device_loader`: a model on a device that takes the same time for each batch, offered as a loader of one's own
* `device_journal`: what such a device has done
* `device_replicas`: workers that each have one, on the partitions of one topic

When a batch goes to a device, by TensorFlow's, Triton's and our policy (a simulation):

* `policy_arrivals`: requests, by chance
* `policy_device`: what a batch costs, measured and fitted
* `policy_batchers`: the scheduler of `batching` on a clock of the simulation's, and Triton's batcher
* `policy_simulation`: requests, a batcher and devices: what is finished when
* `policy_settings`: how each policy may be set
* `policy_tuning`: the best of a grid of settings

Loads beside requests:

* `reloading`: a large model that comes and goes by the control topic
* `resnet_model`: that model
* `many_models`: two hundred small ones that do, some of them broken
* `stored_loader`: SavedModels whose files take their time to come
* `beside_loads`: phases of requests without and with that

Contenders and what they are given:

* `contender`: what a contender is, and what the baselines share
* `baseline`: the process of a baseline
* `echo`: consume and produce, with nothing between
* `latency_echo`: the same for latency: one record at a time, at once
* `hand_loop`: the loop that one would write: batch consume, fastavro, one TensorFlow call, fastavro, produce
* `same_size`: consume, and produce replies of a given size
* `mlserver`, `mlserver_runtime`: MLServer as a contender, and the benchmarks' model as it serves it
* `load`: the requests
* `dense_model`: the model
* `mixed_load`: requests for many models and signatures, with any number of rows
* `layout_model`: the models of those
* `image_load`, `image_model`: requests of 150 KB, and models that cost nothing

Where a worker's microseconds go (`make profile`):

* `profile`: runs a worker with its stages timed, and prints what each thread and each stage has used
* `stages`: which functions are which stage
* `stage_clock`: times functions from outside
* `profiled_worker`: the worker's process
* `thread_times`: the kernel's count by thread

Beside all that:

* `lookup_peers`: tables of rows by key, as one would write them instead of headrace's
* `gpu_check`: what a GPU is used for, on a machine that has one
* `gpu_model`: the model of that
"""
