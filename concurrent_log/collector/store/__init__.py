"""The store: records in SQLite or PostgreSQL, behind one interface.

Where to look:

- `interface`: the protocol that both stores implement, and its exceptions.
- `columns`: the columns of a record.
- `factory`: chooses the implementation.
- `sqlite/` and `postgres/`: the implementations; each has a store that writes, a reader, and the schema.
- `sql/`: turns filters into SQL.
- `keys`: the keys that the server accepts.
- `reader`: the queries that both readers share.

All times are integers: microseconds since 1970.
"""
