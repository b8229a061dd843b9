"""Where the server keeps the records: in SQLite, or in PostgreSQL."""
