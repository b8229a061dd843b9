"""Queries as SQL, for both databases."""
