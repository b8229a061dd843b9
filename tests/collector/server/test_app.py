"""The OpenAPI document, and the headers of all responses."""

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from support.collector_server import Server


def test_openapi_document_is_served(sqlite_server: Server) -> None:
    """The document describes all responses, and its page loads nothing from other hosts."""
    document = sqlite_server.get("/openapi.json")
    status, page, headers = sqlite_server.ask("GET", "/docs")

    assert {"200", "400", "401", "413", "415", "429", "503"} <= set(document["paths"]["/logs"]["post"]["responses"])
    assert status == 200
    assert "http://" not in page
    assert "https://" not in page
    assert "'unsafe-inline'" not in headers["content-security-policy"].partition("style-src")[0]
    assert sqlite_server.ask("GET", "/docs/static/swagger-ui-bundle.js")[0] == 200


def test_every_response_has_a_strict_policy(sqlite_server: Server) -> None:
    """The Content-Security-Policy allows only the server's own scripts."""
    for path in ("/health", "/nothing", "/openapi.json"):
        headers = sqlite_server.ask("GET", path)[2]
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
