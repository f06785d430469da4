"""What is on the wire: Avro files, typed records, codec, error codes. No clock, thread, network or model.

In reading order.

The records: `errors` (one tree, each with its code), `dtype`, `tensor`, `claim` (where the data of a tensor
lies that is too large for its record), `predict_request`, `status`, `predict_reply`; `version_selection`,
`traffic_split`, `traffic_shadow` and `model_config` of the control topic; `signature_spec`, `queue_report`,
`servable_status` and `worker_status` of the status topic; their schemas in `avsc`.

One record to bytes and back: `wire_limits` (how much a record may claim), `varint`, `framing` (the first
ten bytes), `marks`, `scalar_walkers`, `block_walker` and `structure_walk` (the look through a record before
a decoder is let at it), `catalog` (schemas by fingerprint), `codec`. Many to a file and back: `codec_files`.

A poll of requests as columns: `request_kind`, `request_ids`, `layout` (what is the same in all records like
one), `layout_cache`, `stacking`, `ragged_match` (a few records of each of many layouts), `layout_match`,
`head_order` and `alike_lengths` (many records of each of some lengths), `layout_matcher`, `ragged_data`,
`request_columns`, `request_decoder`. And back: `reply_columns`, `ragged_replies` (where the requests' rows differ).

What surrounds a record: `headers` of requests and replies, `dead_letter`. And `request_peek`: the model of a request
that may be damaged.
"""
