"""Ready-made health checks. Each of these functions returns a check for `ServiceMonitor.add`.

A check opens a new connection each time and closes it. Its exceptions give the reason in a few words that name no host,
user or database. The client library of a service is imported when its check is created.
"""

from concurrent_log.health.checks.collector import collector
from concurrent_log.health.checks.databases import mysql, postgres
from concurrent_log.health.checks.http import http
from concurrent_log.health.checks.locks import file_lock, lock
from concurrent_log.health.checks.nats import nats
from concurrent_log.health.checks.opensearch import opensearch
from concurrent_log.health.checks.queues import message_queue
from concurrent_log.health.checks.rabbitmq import rabbitmq
from concurrent_log.health.checks.redis import redis, redis_lock
from concurrent_log.health.checks.resources import disk, file_descriptors
from concurrent_log.health.checks.s3 import s3
from concurrent_log.health.checks.smtp import smtp
from concurrent_log.health.checks.tcp import tcp
from concurrent_log.health.checks.url_schemes import from_url

__all__ = [
    "collector",
    "disk",
    "file_descriptors",
    "file_lock",
    "from_url",
    "http",
    "lock",
    "message_queue",
    "mysql",
    "nats",
    "opensearch",
    "postgres",
    "rabbitmq",
    "redis",
    "redis_lock",
    "s3",
    "smtp",
    "tcp",
]
