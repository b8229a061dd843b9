"""A small shop to try the collector with: a page and its back end, which log to one collector."""
