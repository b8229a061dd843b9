-- The schema of PostgreSQL 13 and newer, without any extension. `search_path` is the schema concurrent_log.

-- The records, in a partition for each day of created_at (UTC): logs_20260131. There is no unique index: duplicates are
-- found by their batch id. Indexed text is compared byte by byte, so that an update of the locale cannot break an index.
CREATE TABLE logs (
    id              BIGINT NOT NULL,
    received_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_at      TIMESTAMPTZ NOT NULL,
    level           TEXT NOT NULL,
    level_number    SMALLINT NOT NULL,
    service         TEXT COLLATE "C",
    environment     TEXT,
    service_version TEXT,
    log_type        TEXT,
    host            TEXT,
    process_id      BIGINT,
    process_name    TEXT,
    thread_name     TEXT,
    logger          TEXT,
    function_name   TEXT,
    file_path       TEXT,
    line_number     BIGINT,
    trace_id        TEXT COLLATE "C",
    span_id         TEXT,
    user_id         TEXT,
    session_id      TEXT,
    error_type      TEXT,
    stack_trace     TEXT,
    path            TEXT,
    method          TEXT,
    action_type     TEXT,
    duration_ms     DOUBLE PRECISION,
    sequence        BIGINT,
    message         TEXT,
    attributes      JSONB
) PARTITION BY RANGE (created_at);

-- Each session reserves 1,000 numbers at a time, so ids are unique, but they are not in the order of commits.
CREATE SEQUENCE logs_id AS BIGINT CACHE 1000 OWNED BY logs.id;
ALTER TABLE logs ALTER COLUMN id SET DEFAULT nextval('concurrent_log.logs_id');

-- Records of days that have no partition.
CREATE TABLE logs_rest PARTITION OF logs DEFAULT;

-- The records received last, in the order in which their transactions began. It has few distinct values, so it is small.
CREATE INDEX logs_by_arrival ON logs (received_at);

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
    received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    records     INTEGER NOT NULL
);

-- The oldest batches, for retention.
CREATE INDEX batches_by_time ON batches (received_at);

-- The clients, and the time at which each was last seen, with a precision of some seconds.
CREATE TABLE clients (
    id          TEXT PRIMARY KEY,
    name        TEXT,
    service     TEXT,
    environment TEXT,
    host        TEXT,
    first_seen  TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen   TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- The records that clients lost, as they reported.
CREATE TABLE drops (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    client_id   TEXT,
    service     TEXT,
    host        TEXT,
    reason      TEXT NOT NULL,
    records     BIGINT NOT NULL,
    since       TIMESTAMPTZ NOT NULL
);

-- The latest losses.
CREATE INDEX drops_by_time ON drops (received_at);
