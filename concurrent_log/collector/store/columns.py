"""The columns of a record, and its levels."""

from typing import Any

AUDIT_LOGGER = "concurrent_log.audit"  # the logger of the records about the use of admin rights

LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40, "FATAL": 50}

COLUMNS = (
    "created_at",
    "level",
    "level_number",
    "service",
    "environment",
    "service_version",
    "log_type",
    "host",
    "process_id",
    "process_name",
    "thread_name",
    "logger",
    "function_name",
    "file_path",
    "line_number",
    "trace_id",
    "span_id",
    "user_id",
    "session_id",
    "error_type",
    "stack_trace",
    "path",
    "method",
    "action_type",
    "duration_ms",
    "sequence",
    "message",
    "attributes",
)
INTEGERS = frozenset({"created_at", "level_number", "process_id", "line_number", "sequence"})
FLOATS = frozenset({"duration_ms"})
TEXTS = tuple(name for name in COLUMNS if name not in INTEGERS | FLOATS | {"attributes"})

# One value for each column of the batch: str, int or float, or None if the record has no value. The first column is
# `created_at`, in microseconds since 1970. `attributes` is a JSON object as text, or None.
RecordRow = tuple[Any, ...]
