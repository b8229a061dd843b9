"""Ingest: the bodies of ``POST /logs`` become rows of the store."""
