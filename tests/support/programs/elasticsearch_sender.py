"""Sends numbered documents with the bulk helper of Elasticsearch's client: ``URL RECORDS``."""

import sys
from datetime import datetime, timezone

from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

url, count = sys.argv[1], int(sys.argv[2])
documents = (
    {
        "@timestamp": datetime.now(timezone.utc).isoformat(),
        "log": {"level": "info", "logger": "shop.orders"},
        "service": {"name": "shop"},
        "message": f"order {number} accepted",
        "number": number,
    }
    for number in range(count)
)
with Elasticsearch(url) as client:
    assert client.info()["version"]["number"]
    assert bulk(client, documents, index="logs") == (count, [])
