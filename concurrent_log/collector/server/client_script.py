"""``/client.js``: the client for pages in the browser, of the same version as the server."""

import re
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from concurrent_log.collector.javascript_package import FOLDER

_ENTRY = "browser.js"
_IMPORTED = re.compile(r'^(?:import|export) .*from "\./([a-z_]+\.js)";$', re.MULTILINE)

# Any page may load it: there is no secret in it, and what it sends is let in, or not, elsewhere.
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-cache",
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def add_client(app: FastAPI) -> None:
    """Add the client: one address for pages, and its files below ``/client``."""
    # All files are named here, so that the browser asks for them at once rather than for one after the other.
    files = sorted(_needed_by(_ENTRY, set()))
    lines = [f'import "./client/{name}";' for name in files] + [f'export * from "./client/{_ENTRY}";']
    content = "\n".join(lines) + "\n"

    @app.get("/client.js", include_in_schema=False)
    async def client() -> Response:
        return Response(content, media_type="text/javascript", headers=_HEADERS)

    app.mount("/client", _Files(directory=FOLDER), name="client")


def _needed_by(name: str, found: set[str]) -> Iterator[str]:
    """Yield the name of a module and those of all that it imports, each once."""
    if name not in found:
        found.add(name)
        yield name
        for imported in _IMPORTED.findall((FOLDER / name).read_text(encoding="utf-8")):
            yield from _needed_by(imported, found)
