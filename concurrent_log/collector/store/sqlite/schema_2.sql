-- SQLite: an index for the records of health monitors, which are few among all records.
CREATE INDEX logs_by_health ON logs (created_at, id) WHERE logger = 'concurrent_log.health';
