-- The schema of SQLite. Times are microseconds since 1970.

-- The records. Only the id is unique: duplicates are found by their batch id.
CREATE TABLE logs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    level           TEXT NOT NULL,
    level_number    INTEGER NOT NULL,
    service         TEXT,
    environment     TEXT,
    service_version TEXT,
    log_type        TEXT,
    host            TEXT,
    process_id      INTEGER,
    process_name    TEXT,
    thread_name     TEXT,
    logger          TEXT,
    function_name   TEXT,
    file_path       TEXT,
    line_number     INTEGER,
    trace_id        TEXT,
    span_id         TEXT,
    user_id         TEXT,
    session_id      TEXT,
    error_type      TEXT,
    stack_trace     TEXT,
    path            TEXT,
    method          TEXT,
    action_type     TEXT,
    duration_ms     REAL,
    sequence        INTEGER,
    message         TEXT,
    attributes      TEXT
);

-- The newest records.
CREATE INDEX logs_by_time ON logs (created_at, id);

-- The newest records of a service. A query merges one scan for each level.
CREATE INDEX logs_by_service ON logs (service, level_number, created_at, id);

-- The newest warnings and errors of all services.
CREATE INDEX logs_by_level ON logs (created_at, id, level_number) WHERE level_number >= 30;

-- The records of a trace.
CREATE INDEX logs_by_trace ON logs (trace_id, created_at) WHERE trace_id IS NOT NULL;

-- The stored batches: a batch that is sent again is stored once. A batch that was stored in parts has -1 records.
CREATE TABLE batches (
    batch_id    TEXT PRIMARY KEY,
    received_at INTEGER NOT NULL,
    records     INTEGER NOT NULL
) WITHOUT ROWID;

-- The oldest batches, for retention.
CREATE INDEX batches_by_time ON batches (received_at);

-- The clients, and the time at which each was last seen, with a precision of some seconds.
CREATE TABLE clients (
    id          TEXT PRIMARY KEY,
    name        TEXT,
    service     TEXT,
    environment TEXT,
    host        TEXT,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL
) WITHOUT ROWID;

-- The records that clients lost, as they reported.
CREATE TABLE drops (
    id          INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    client_id   TEXT,
    service     TEXT,
    host        TEXT,
    reason      TEXT NOT NULL,
    records     INTEGER NOT NULL,
    since       INTEGER NOT NULL
);

-- The latest losses.
CREATE INDEX drops_by_time ON drops (received_at);
