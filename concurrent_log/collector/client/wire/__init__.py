"""Wire formats: what a batch is in a request, and which response to it is believed.

Everything else is the same for all formats: the queue in memory or on disk, the retries, the division of a batch, and
the connection. A queued record is JSON in the names of our protocol, whatever the format is.
"""
