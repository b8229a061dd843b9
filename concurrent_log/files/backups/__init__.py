"""Backups of a log file: their names, their lookup and their retention. Internal."""
