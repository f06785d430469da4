"""The Kafka seam: all that the worker wants from Kafka, and the only package that knows a client library.

What belongs here: the protocols that the worker is written against, their adapters on librdkafka
(confluent-kafka), the names and values of client properties, and the translation of the client's errors. What
does not: topics' names and meaning, what to commit and when, any model. No type of the client library is seen
above this package, except that the messages of a poll are the client's own objects (`Message` says what may
be asked of them).

In reading order:

* `records` - partition, message, headers; `header_reading` - the headers of many records
* `errors` - what can go wrong, in an operator's words; `rights` - what a user may lack, and how it is given
* `consumer`, `share`, `producer`, `transactional` - the protocols
* `client_config` - librdkafka's properties; `java_properties` - those of `--command-config`
* `confluent_consumer` - the consumer's adapter; `assignment` - its answers to rebalances; `places` - where a
  partition is read that the client has no place in; `leaders` - asks those of partitions; `resuming` - goes on
  with paused ones; `repeats` - leaves out what the client returns twice
* `confluent_share` - the adapter of a member of a share group
* `confluent_producer`, `confluent_transactional` - the producers' adapters
* `admin`, `topic_facts` - topics, their configurations, groups' lag; `admin_calls`, `admin_configs` - how it asks;
  `topic_rights` - whether a user has the rights that will be needed
* `client_log` - the client library's own log lines
* `clients` - a client of each kind in one call
* `mock_cluster` - an embedded broker for demonstrations
"""
