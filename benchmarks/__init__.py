"""How fast headrace is, beside what one would write instead, on the same broker in the same run.

`make bench` runs `__main__`: a broker, a topic full of requests, and then the contenders in turn, several rounds.

* `contender`: what a contender is, and what the baselines share
* `baseline`: the process of a baseline
* `echo`: consume and produce, with nothing between
* `hand_loop`: the loop that one would write: batch consume, fastavro, one TensorFlow call, fastavro, produce
* `load`: the requests
* `dense_model`: the model
* `measuring`: rates and CPU time, from outside the process that is measured
* `report`: the table and the JSON file
* `readme`: puts that table into the README
* `gpu_check`: what a GPU is used for, on a machine that has one
"""
