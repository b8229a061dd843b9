"""A little shop to try the collector with: a page and its back end, which log to one place."""
