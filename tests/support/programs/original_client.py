"""Logs 20,000 records with the unchanged log-collector-async, as fast as possible, with a queue of that size."""

import asyncio
import sys

from log_collector import AsyncLogClient

client = AsyncLogClient(sys.argv[1], service="shop", environment="production", max_queue_size=20_000)
for number in range(20_000):
    client.info(f"record {number}", user_id=123, action="login", number=number)
client.flush()
asyncio.run(client.close())
