"""The stress test that anybody can run where their log files lie: ``python -m concurrent_log stress``."""
