-- What monitors say of services: a few records among all others.
CREATE INDEX logs_by_health ON logs (created_at, id) WHERE logger = 'concurrent_log.health';
