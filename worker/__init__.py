"""Kafka, and the wiring: the only package that knows the wire, the batches and the servables.

What belongs here: reading requests and writing replies, offsets and rebalances, the control and status topics, the
command line, the Python client. It maps the errors of `batching` and `lifecycle` to codes on the wire. What does not:
how rows become a batch (`batching`), which version is alive (`lifecycle`), how a record is laid out (`schemas`).

In reading order; what is owned by the poll thread is marked (p), by the control thread (c).

The way of a request:

* `reading` (p): the ways in which requests are read; `path_parts`: what they share
* `group_reading`, `poll_loop` (p): as a member of a consumer group; the one loop that owns the consumer
* `queue_reading`, `queue_loop`, `queue_turns` (p): out of a queue, which is a share group
* `share_group`: what that group promises
* `polled_records`, `offset_tracker` (p): a poll's records as columns; what may be committed
* `intake`, `admission`, `admission_settings`, `header_columns`, `reply_routing`, `reply_routes` (p): from messages to
  blocks, replies, dead letters, or a wait
* `router`, `model_choice`, `traffic_shares`, `told_reasons` (p): which version answers, or why none does
* `request_block`, `queue_depths`, `queue_control`, `queue_key`, `batch_queues`, `model_queue_options`, `batch_sizes`:
  blocks, and the queues they wait in
* `held_requests` (p): what waits for a model or a topic
* `answering`, `routing` (p): what the intake says by itself, and how it queues what goes to one version or to several
* `shadowing` (p), `shadow_room`, `shadow_runs`, `shadow_replies`: what another version is tried on, unnoticed
* `inference`, `batch_run`, `batch_inputs`: a batch becomes replies, on the batch threads; its inputs, stacked
* `ragged_options`, `ragged_inputs`: requests of unlike lengths, padded
* `run_options`: at which sizes batches are run, and in which parts
* `run_sizes`: at which sizes models are run that have run out of memory
* `attempts`: runs a batch again whose failure may pass
* `giving_way`: lets a batch thread that comes out of a model give way to one that is still in it
* `delivery`, `publisher`, `reply_ways`, `outcomes`, `reply_order`, `producer_pool`, `quiet_lane`: replies on their
  way out
* `dead_letters`, `reply_sizes`, `reply_fitting`, `refusals`: what cannot be answered, what a topic takes, and what
  becomes of the rest
* `stores`, `store_uris`: fsspec's stores, and places in them as text
* `claims`: data that lies outside the records, put together: `claim_roots`, `claim_store`, `claim_places` (which
  places, how they are reached, how ours are named), `claim_fetch`, `claim_writing`, `claim_threads` (what blocks, on
  threads of their own), `claimed_requests`, `claimed_replies` (p) (what waits for that), `claim_cleaning`
* `settlement`, `committer`, `rebalancing` (p): acknowledged, committed, given away
* `committing`, `transactions`, `transaction_batch`, `replacements` (p): the same in transactions, exactly once
* `failing` (p): stops reading what fails
* `budget`, `read_ahead`, `backpressure`, `flow_control` (p): how much is read ahead, and when to pause
* `topic_directory`, `cluster`, `cluster_watch`: what is known of the cluster's topics, and whether it answers
* `consumer_reports` (p): what the consumer says by itself
* `gauges`, `partition_watch` (p): what stands still, copied into the metrics; partitions that do not move

Models:

* `base_path_roots`, `operator_rules`: what the operator allows control records to ask for
* `control_topic`, `batching_rules`, `model_devices`, `batching_parameters`, `signature_options`, `control_record`,
  `traffic_rules`, `model_table` (c): the desired models
* `aspirations`, `model_streams`, `version_paths`, `version_sources`, `arrivals`, `failed_versions` (c): from desired
  models to aspired versions
* `lazy_demand`, `lazy_models`, `lazy_states`, `lazy_room` (c): models that are loaded when they are first asked for,
  and which of them go when there is no room
* `entry_points`, `loaders`, `custom_loaders`, `rooted_loader`, `policies`: what a control record may name, of ours and
  of others
* `request_lines`, `request_files`, `readiness`: recorded and golden requests, and what a version passes by them
* `model_stores`: versions that lie in stores, put together: `stored_versions` (looking and reading there),
  `fetched_loader`, `version_copies`, `copy_folder`, `file_locks` (their copies here)
* `joining`, `control_loop`, `control_thread` (c): when requests may be taken; what the control thread does
* `model_log`: what becomes of versions, in the log
* `status_topic`, `queue_reports`, `servable_reports`, `worker_lease` (c): what this worker says of itself

For commands and clients:

* `control_view`, `control_writer`: the desired models as a command reads and changes them; it says so when another
  record came between
* `fleet`, `fleet_reader`, `convergence`, `broker_time`, `model_directory`: what the workers say, put together
* `topic_plan`, `access_rights`: the topics that a deployment has, their settings, and who needs which rights
* `topic_scan`, `dead_letter_entries`, `dead_letter_replay`: what dead-letter topics hold, and sending it again
* `client`, `client_calls`, `client_errors`, `client_requests`, `client_replies`, `client_claims`,
  `client_endpoints`: asking from Python
* `loaded_version`, `run_measuring`: one version loaded by a command, and how long its batches run
* `csv_lines`, `table_files`: what lookup tables and vocabularies are made of
* `rest_json`, `rest_json_errors`, `rest_json_values`, `known_signatures`: TensorFlow Serving's JSON, and its dtypes
* `commands`, `demo`: the command line, and the demonstration

The process:

* `app`: the composition root; `managing`: the manager of models, put together
* `request_path`, `batch_scheduler`, `path_clients`, `request_clients`, `worker_process`: the request path put together;
  the life of a worker
* `process_tuning`, `freed_memory`, `huge_pages`, `thread_slices`: collector, memory, its pages, and turns;
  `control_groups`, `usable_memory`, `usable_cores`: what there is of memory and cores
* `settings`, `settings_group`, `settings_kafka`, `settings_serving`, `settings_lifecycle`, `settings_model_cache`,
  `settings_claims`, `settings_operation`, `settings_rules`, `settings_sources`, `settings_loading`,
  `settings_secrets`, `settings_display`, `settings_docs`: what can be set
* `log`, `metrics`, `metrics_kinds`, `metrics_list`, `metrics_making`, `metrics_counter`, `metrics_histogram`,
  `metrics_observers`, `metrics_models`, `metrics_memory`, `metrics_control`, `metrics_runs`, `metrics_requests`,
  `metrics_lazy`, `metrics_shadow`, `metrics_chosen_list`, `metrics_objectives`, `metrics_queues`,
  `metrics_docs`, `health`: what can be seen
* `stop_flag`, `exit_codes`, `process_end`, `release`: how it ends; which one it is
* `kafka`: the seam to the client library
"""
