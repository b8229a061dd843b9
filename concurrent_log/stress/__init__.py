"""The stress test, which users run on their own file system: ``python -m concurrent_log stress``."""
