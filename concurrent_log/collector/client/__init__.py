"""The client: sends records to a collector over HTTP. Its public names are in `concurrent_log.collector`."""
