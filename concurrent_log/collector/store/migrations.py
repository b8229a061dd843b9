"""The steps of a database schema: the files ``schema_1.sql``, ``schema_2.sql`` … beside each store."""

import pathlib


def migrations(database: str) -> list[tuple[int, str]]:
    """Return the number and the SQL of each step, in order, for ``"sqlite"`` or ``"postgres"``."""
    files = (pathlib.Path(__file__).parent / database).glob("schema_*.sql")
    return sorted((int(file.stem.rpartition("_")[2]), file.read_text(encoding="utf-8")) for file in files)
