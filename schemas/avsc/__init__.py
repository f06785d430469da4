"""The Avro schema files, each complete in itself. `NAME.avsc` is written, `NAME.anything.avsc` was once.

A published file is never changed or removed: a changed schema is a new file under the plain name, and the
old one stays under a longer name. tests/schemas/golden/ holds the fingerprint and a stored value of each.
"""
