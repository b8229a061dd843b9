"""Logs 20,000 records with log-collector-async as it is, as fast as it can, with a queue that holds them all."""

import asyncio
import sys

from log_collector import AsyncLogClient

client = AsyncLogClient(sys.argv[1], service="shop", environment="production", max_queue_size=20_000)
for number in range(20_000):
    client.info(f"record {number}", user_id=123, action="login", number=number)
client.flush()
asyncio.run(client.close())
