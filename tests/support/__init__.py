"""Helpers of the tests: programs, servers, services and browsers that they start, and records that they look for."""
