"""Access: who may do what.

- `rules`: the kind of key that each route needs, in one table.
- `audit`: the record about each use of admin rights.
"""
