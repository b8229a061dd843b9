-- SQLite: the keys. Their secrets are stored as digests; `services` and `origins` are JSON lists.
CREATE TABLE keys (
    id                 TEXT PRIMARY KEY,
    digest             TEXT NOT NULL UNIQUE,
    kind               TEXT NOT NULL,
    name               TEXT NOT NULL,
    created_at         INTEGER NOT NULL,
    services           TEXT NOT NULL,
    environment        TEXT,
    origins            TEXT NOT NULL,
    records_per_minute INTEGER,
    bytes_per_minute   INTEGER,
    expires_at         INTEGER,
    revoked_at         INTEGER,
    last_used_at       INTEGER
) WITHOUT ROWID;

-- The logins to the page. A session of a key ends with the key.
CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    digest       TEXT NOT NULL UNIQUE,
    key_id       TEXT,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    address      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    ended_at     INTEGER
) WITHOUT ROWID;
