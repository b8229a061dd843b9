"""Ingest: the body of a request becomes a batch of rows, which the store commits.

The steps, in order: the endpoint of a format passes a request to `receiver`, which reads the body within the limits of
`memory_budget`; `decompression`; the format decodes it: `json_body` for our envelope, `bare_records` for records
without one, `otlp`, `elasticsearch` with `ecs`, `loki`; `batch_rows` and `normalize` build one row from each record,
with `levels` for the names of levels; `key_scope` removes what the key may not send.
"""
