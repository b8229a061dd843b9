"""Logs of many processes and machines in one place: the client, the server, and the page to read them on."""
