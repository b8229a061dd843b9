"""The queue between a logging call and the sender: in memory, or in a spool on disk."""
