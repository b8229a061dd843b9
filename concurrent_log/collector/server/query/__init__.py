"""Queries: the endpoints that read records."""
