"""A Django project whose web workers, reloader and management command write one log file."""
