"""``/client.js``: the JavaScript client for pages, in the same version as the server."""

import re
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from concurrent_log.collector.javascript_package import FOLDER

_ENTRY = "browser.js"
_IMPORT = re.compile(r'^(?:import|export) .*from "\./([a-z_]+\.js)";$', re.MULTILINE)

# Pages of any site may load the client: it contains no secret, and `POST /logs` decides what to accept.
_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-cache",
}


class _ClientFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def add_client_script(app: FastAPI) -> None:
    """Add ``/client.js``, and its modules below ``/client``."""
    # The script names all modules, so that the browser loads them in parallel rather than one after the other.
    files = sorted(_imported_modules(_ENTRY, set()))
    lines = [f'import "./client/{name}";' for name in files] + [f'export * from "./client/{_ENTRY}";']
    content = "\n".join(lines) + "\n"

    @app.get("/client.js", include_in_schema=False)
    async def client() -> Response:
        return Response(content, media_type="text/javascript", headers=_HEADERS)

    app.mount("/client", _ClientFiles(directory=FOLDER), name="client")


def _imported_modules(name: str, found: set[str]) -> Iterator[str]:
    """Yield a module and all modules that it imports, each once."""
    if name not in found:
        found.add(name)
        yield name
        for imported in _IMPORT.findall((FOLDER / name).read_text(encoding="utf-8")):
            yield from _imported_modules(imported, found)
