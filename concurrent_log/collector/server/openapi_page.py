"""``/docs``: FastAPI's page for the OpenAPI document, with all assets from the server itself."""

import base64
import hashlib
import importlib.resources
import re

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_ASSETS = "/docs/static"


def add_openapi_page(app: FastAPI) -> None:
    """Add the page; its policy allows the one inline script by its hash."""
    app.mount(_ASSETS, StaticFiles(directory=str(importlib.resources.files("fastapi_offline") / "static")))
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="concurrent_log: HTTP interface",
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
    )
    content = bytes(page.body)
    scripts = re.findall(rb"<script>(.*?)</script>", content, re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in scripts)
    policy = (
        f"default-src 'none'; script-src 'self' {hashes}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(content, headers={"Content-Security-Policy": policy})
