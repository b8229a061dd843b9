"""All paths lead to one view, which logs five records and responds with its process id."""

import logging
import os

from django.http import HttpRequest, HttpResponse
from django.urls import path

logger = logging.getLogger("app")


def view(request: HttpRequest, name: str) -> HttpResponse:
    """Log five records whose ids begin with the path."""
    for number in range(5):
        length = 50 * number
        logger.info("record %s-%d %s %d", name, number, "x" * length, length)
    return HttpResponse(str(os.getpid()))


urlpatterns = [path("<str:name>", view)]
