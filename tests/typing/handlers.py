"""Calls of the public handlers for the type checker. Only mypy reads this file; it never runs.

An unused ``type: ignore`` is an error: each one proves that a misspelt or invalid argument is found.
"""

from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.dated import DatedFileHandler

ConcurrentTimedRotatingFileHandler("app.log", "midnight", 1, 7, "utf-8", maxBytes=1_000_000, use_gzip=True)
ConcurrentTimedRotatingFileHandler("app.log", unicode_error_policy="ignore", debug=False, mode="a")
ConcurrentTimedRotatingFileHandler("app.log", backupcount=7)  # type: ignore[call-arg]
ConcurrentTimedRotatingFileHandler("app.log", maxBytes="1 MB")  # type: ignore[arg-type]

ConcurrentRotatingFileHandler("app.log", "a", 1_000_000, 3, lock_file_directory="/run/lock")
ConcurrentRotatingFileHandler("app.log", unicode_error_policy="replace", debug=False)
ConcurrentRotatingFileHandler("app.log", maxbytes=1_000_000)  # type: ignore[call-arg]

DatedFileHandler("log", "App", "KST", backupCount=30)
DatedFileHandler("log", use_gzip=True)  # type: ignore[call-arg]
