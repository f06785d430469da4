"""The loop that one would write, and write well: batch consume, fastavro, one TensorFlow call, fastavro, produce."""

import io
import time

from benchmarks.contender import COMMIT_SECONDS, Clients, Job, on_delivery, stop_event

BATCH = 512
HEADER = 10  # C3 01 and the schema's fingerprint


def run(job: Job) -> None:
    """Answer each request by the model until told to end."""
    import fastavro
    import numpy as np
    import tensorflow as tf

    from schemas.catalog import default_catalog
    from schemas.framing import header

    catalog = default_catalog()
    request_schema, reply_schema = catalog.current("PredictRequest"), catalog.current("PredictReply")
    reply_header = header(reply_schema.fingerprint)
    loaded = tf.saved_model.load(job.model)
    call = loaded.signatures["serving_default"]
    call(x=tf.constant(np.zeros((BATCH, 64), np.float32)))
    clients, stop = Clients(job), stop_event()
    produce, topic = clients.producer.produce, job.replies
    committed = time.monotonic()
    while not stop.is_set():
        messages = clients.consume(BATCH)
        if messages:
            requests = []
            for message in messages:
                stream = io.BytesIO(message.value())
                stream.seek(HEADER)
                requests.append(fastavro.schemaless_reader(stream, request_schema.parsed))
            rows = np.frombuffer(b"".join(r["inputs"][0]["data"] for r in requests), np.float32).reshape(
                -1, 64
            )
            scores = call(x=tf.constant(rows))["scores"].numpy()
            for message, request, row in zip(messages, requests, scores, strict=True):
                stream = io.BytesIO()
                stream.write(reply_header)
                output = {"name": "scores", "dtype": "DT_FLOAT", "shape": [1, 10], "data": row.tobytes()}
                reply = {
                    "model": request["model"],
                    "version": 1,
                    "outputs": [output],
                    "error": None,
                    "id": request["id"],
                    "parameters": {},
                }
                fastavro.schemaless_writer(stream, reply_schema.parsed, reply)
                if job.headers:
                    produce(topic, stream.getvalue(), on_delivery=on_delivery, headers=message.headers())
                else:
                    produce(topic, stream.getvalue(), on_delivery=on_delivery)
            clients.producer.poll(0)
        if time.monotonic() - committed >= COMMIT_SECONDS:
            clients.commit()
            committed = time.monotonic()
    clients.commit()
    clients.consumer.close()
