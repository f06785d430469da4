"""Kafka, and the wiring: the only package that knows the wire, the batches and the servables."""
