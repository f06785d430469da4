"""The command line `headrace`.

What belongs here: what a command takes, how its result looks, its exit status. What does not: what it does,
which is a function of the worker's other modules, so that programs can do it too. Nothing heavy is imported
before a command needs it: `headrace --help` knows neither Kafka nor TensorFlow.

In reading order:

* `cli` - the commands by name, and how the command line ends
* `options` - what many commands take: the cluster, the settings, the form of the output
* `output` - tables for people, JSON for programs
* `failure` - what a failure says and which exit status it has
* `connecting` - the way to the cluster that the settings say
* `worker_command` - `headrace worker`
* `topics` - `headrace topics`
* `control_access` - the way to the control and status topics
* `waiting` - until the fleet has followed; `progress` - what that looks like, and other work
* `models`, `model_changing` - `headrace models`, with `model_options`, `model_batching`, `version_texts`,
  `model_changes`, `model_actions` and `model_views`; of `headrace models apply`: `model_file` and `model_applying`;
  of `headrace models describe`: `model_description`
* `queue_views`, `status` - `headrace status`
* `request` - `headrace request`
* `dead_letters` - `headrace dead-letters`, with `dead_letter_options`, `dead_letter_access`, `dead_letter_lists`,
  `dead_letter_views` and `dead_letter_sending`
* `inspect_model` - `headrace inspect`; `signature_views` - how signatures look
* `tune` - `headrace tune`, with `tune_views` and `tune_plot`
* `tables` - `headrace tables`
* `config` - `headrace config`
* `demo_command` - `headrace demo`
"""
