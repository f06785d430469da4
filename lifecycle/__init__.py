"""Which version of which servable is alive: TensorFlow Serving's core in Python.

What belongs here: loaders and servables, the state machine of one version, the manager that makes the aspired
versions true, the policies that order its loads and unloads, and the counted handles under which nothing is
unloaded. What does not: where aspirations come from, what a batch or a request is, Kafka, codes on the wire.
Usable alone: `docs/lifecycle.md` shows how.

In reading order:

* `errors`: the tree of everything raised on purpose
* `servable_id`: name and version; how a handle is asked for
* `signature`: what a servable takes and gives, and the check of a request against it
* `servable`, `loader`: the two protocols that a model kind implements
* `resources`, `resource_tracker`: how much memory of which device; who has how much of it set aside
* `servable_state`, `event_bus`: what outsiders may know, and how they hear of it
* `servable_handle`, `serving_map`: counted references, and where they are had
* `backoff`: how long to wait before what has failed is tried again
* `loader_harness`: the state machine of one loader's life, as a table
* `threads`: the only place where threads start
* `managed_servable`, `load_approval`, `execution`, `basic_manager`: the mechanism, which loads and unloads what it is
  told, as far as there is room
* `aspired_version_policy`: what to load or unload next
* `source`, `static_source`: who says what is aspired
* `source_port`, `source_adapter`, `source_router`: what may stand between a source and its managers
* `reconciliation`, `aspired_versions_manager`: the intent, which makes the aspired true; most users begin there
* `loader_factory`, `residents`, `shared_load`, `caching_manager`: instead, what is loaded when it is first asked for
* `static_manager`: instead, what never changes
* `servable_state_monitor`: the latest state of each version, and waiting for it
* `dtype_names`: TensorFlow's dtype names and their NumPy twins
* `model_files`, `json_section`: the files of a version, read or mapped, with errors that name the place
* `numpy_steps`, `numpy_model`, `numpy_loader`: small models in plain NumPy, loaded at once
* `string_columns`, `fingerprints`: blocks of strings as columns, and the hashes of blocks of keys
* `key_index`: finds the keys of tables that lie in files
* `lookup_table_format`, `lookup_table_loader`: rows of numbers by key
* `vocabulary_format`, `vocabulary_loader`: strings to ids and back
* `version_directory`, `npy_writer`: a new version, which is there whole or not at all
* `table_input`, `keyed_rows`, `key_index_writer`: what a table is made of, checked, sorted by hash, written
* `lookup_table_writer`, `vocabulary_writer`: make such tables
* `python_loader`: a Python class that the operator allows, named by a version's own file
* `saved_model_protobuf`, `saved_model_signatures`: what a SavedModel offers, read without TensorFlow
* `saved_model_operations`, `saved_model_reach`, `saved_model_origins`, `saved_model_judgement`: which operations may
  run, which of a graph can, whose files they read, and the refusal of one that may not
* `saved_model_parts`, `concurrent_servable`: which parts of a graph gather batches by themselves; calls it row by row
* `saved_model_tensorflow`, `saved_model_graph`: TensorFlow, and a graph brought in by steps that stop nobody for long
* `saved_model_session`, `saved_model_servable`: its session and its prepared calls
* `saved_model_devices`, `saved_model_memory`: the devices that TensorFlow sees; what a model takes, by its files
* `saved_model_errors`: TensorFlow's errors in the words of `errors`
* `saved_model_loader`: loads and unloads a SavedModel
* `keras_file`, `keras_loader`: `.keras` files, what they may hold; loads one as the SavedModel that Keras makes of it
* `recorded_requests`: requests from before a version was there, and what its signatures make of them
* `crc32c`, `tfrecord`, `tensor_proto`, `prediction_log`: TensorFlow Serving's recorded requests, without TensorFlow
* `instances`: several of one version, each on its device
* `loader_around`: adds something to any loader
* `warmup`: recorded requests, or a synthetic batch per signature, before a version is available
* `validation`: golden requests, which a version must answer as expected before it is available
* `measured_loader`: corrects estimates by what loads were seen to take
"""
