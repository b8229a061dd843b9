"""OpenTelemetry's log format: decoding, mapping to records, and the responses that its senders expect.

`protobuf` and `json` find the records of a request, `record` maps each one to the names of our columns, `body` makes
the batch, and `response` answers.
"""
