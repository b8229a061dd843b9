"""A management command that logs while the web workers do."""

import writing
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Log until the file rolls over."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name of the source."""
        parser.add_argument("source")

    def handle(self, *arguments: object, source: str, **options: object) -> None:
        """Log, and tell how many records that were."""
        self.stdout.write(writing.log_over_rollover(source))
