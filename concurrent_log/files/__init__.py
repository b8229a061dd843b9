"""One log file, written by many processes: the parts of the file handlers. Internal."""
