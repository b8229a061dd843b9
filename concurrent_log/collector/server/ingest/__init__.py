"""Ingest: the body of ``POST /logs`` becomes a batch of rows, which the store commits.

The steps, in order: `endpoint` receives the body within the limits of `memory_budget`; `decompression`; `json_body`
decodes it; `batch_rows` and `normalize` build one row from each record, with `levels` for the names of levels.
"""
