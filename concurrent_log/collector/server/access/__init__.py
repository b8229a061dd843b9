"""Access: authentication and rights.

- `rules`: what each route needs, in one table, and the dependency that asks for it.
- `identity`: who sent a request, and what that one may do.
- `control`: finds the identity of a request: by a key, the server's token, a session or a reverse proxy's header.
- `directory`: the keys and sessions of the store, a few seconds old at most.
- `origins`: pages of other sites, and which of them may send.
- `guesses` and `rates`: slow down those who guess keys, and senders with a limited key.
- `session_routes` and `key_routes`: the routes for login, sessions and keys.
- `audit`: the record about each use of admin rights.
"""
