"""Loki's push format: what Promtail, pino-loki, winston-loki, python-logging-loki and others send.

`json` and `protobuf` find the entries of a request, `record` maps each one to the names of our columns, and `endpoint`
makes the batch and answers.
"""
