"""`StrictConnection`: refuses a request of which another server on the way could see another end."""

from typing import Any

import h11


class StrictConnection(h11.Connection):
    """A connection that refuses a request with both `Content-Length` and `Transfer-Encoding`.

    h11 uses the latter, as the standard says. A proxy in front that uses the former takes the rest of the body for
    the next request, which is then not checked (request smuggling). RFC 9112, 6.1, allows to refuse such a request.
    """

    def next_event(self) -> Any:
        """Return the next event, or raise `h11.RemoteProtocolError`."""
        event = super().next_event()
        if type(event) is h11.Request and {b"content-length", b"transfer-encoding"} <= {
            name for name, _ in event.headers
        }:
            raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
        return event
