"""A management command that logs at the same time as the web workers."""

import writing
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Log until the file rolls over."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the argument for the name of the source."""
        parser.add_argument("source")

    def handle(self, *arguments: object, source: str, **options: object) -> None:
        """Log, and print the number of records."""
        self.stdout.write(writing.log_over_rollover(source))
