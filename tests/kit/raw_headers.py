"""A producer that writes header names as bytes: the Python client writes UTF-8 only, other programs need not.

It calls the C library that the Python client brings, past the Python client.
"""

import ctypes
from pathlib import Path

import confluent_kafka

PRODUCER, END, TOPIC, PARTITION, VALUE, KEY, FLAGS, HEADER, COPY = 0, 0, 1, 3, 4, 5, 7, 9, 2
"""librdkafka's own numbers: a type of client, kinds of arguments of `rd_kafka_producev`, a flag."""


def _library() -> ctypes.CDLL:
    """The C library inside the Python client's distribution, or the system's."""
    bundled = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
    found = sorted(bundled.glob("librdkafka*.so*"))
    library = ctypes.CDLL(str(found[0]) if found else "librdkafka.so.1")
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_new.restype = ctypes.c_void_p
    return library


def write(bootstrap_servers: str, topic: str, value: bytes, key: bytes, name: bytes) -> None:
    """Write one record with one header of this name, and wait until it is there.

    Raises:
        OSError: it could not be written.
    """
    library, error = _library(), ctypes.create_string_buffer(512)
    config = ctypes.c_void_p(library.rd_kafka_conf_new())
    for option, setting in (("bootstrap.servers", bootstrap_servers), ("acks", "all")):
        if library.rd_kafka_conf_set(config, option.encode(), setting.encode(), error, len(error)):
            raise OSError(error.value.decode())
    client = ctypes.c_void_p(library.rd_kafka_new(PRODUCER, config, error, len(error)))
    if client.value is None:
        raise OSError(error.value.decode())
    problem = library.rd_kafka_producev(
        client,
        *(ctypes.c_int(TOPIC), ctypes.c_char_p(topic.encode())),
        *(ctypes.c_int(PARTITION), ctypes.c_int32(0)),
        *(ctypes.c_int(VALUE), ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(ctypes.c_int(KEY), ctypes.c_char_p(key), ctypes.c_size_t(len(key))),
        *(ctypes.c_int(HEADER), ctypes.c_char_p(name), ctypes.c_char_p(b"x"), ctypes.c_ssize_t(1)),
        *(ctypes.c_int(FLAGS), ctypes.c_int(COPY)),
        ctypes.c_int(END),
    )
    left = library.rd_kafka_flush(client, ctypes.c_int(20_000))
    library.rd_kafka_destroy(client)
    if problem or left:
        raise OSError(f"the record was not written: error {problem}, {left} left")
