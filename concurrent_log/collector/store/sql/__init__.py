"""Turns filters into SQL, for both databases; no module here connects to one.

All text from users becomes an argument of the statement. Only numbers are written into the SQL text, because a database
uses a partial index only if it can see the number in the condition.
"""
