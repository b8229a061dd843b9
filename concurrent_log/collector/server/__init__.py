"""The collector's server: stores records that are sent over HTTP, and lets programs and people query them.

Where to look:

- `ingest/`: `POST /logs`, from the body of the request to the rows of a batch.
- `query/`: the routes that read.
- `access/`: keys, logins and what each may do.
- `app`: the application with all routes; `errors`: error responses.
- `managed_store`: opens the store, and tries again while the database is unavailable; `retention`: removes old records.
- `command` and `settings`: the command ``serve``; `uvicorn_server`, `connection_limits` and `strict_framing`: sockets,
  connections, and where a request ends.
"""
