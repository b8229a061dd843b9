"""The backups of a log file: their names, which exist, and which retention removes."""
