"""The applications of `all_handlers`, with their configuration, for servers that do not configure logging."""

import logging.config

import all_handlers
from all_handlers import application as application

logging.config.dictConfig(all_handlers.logconfig_dict)
