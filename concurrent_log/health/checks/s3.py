"""Whether a bucket of S3, or of what speaks like it, is there for us."""

import contextlib
from os import PathLike
from typing import Any

from concurrent_log.health.checks.address import address_of
from concurrent_log.health.checks.client_library import needed
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_of, seconds
from concurrent_log.health.checks.tls import trusted


def s3(
    bucket: str,
    endpoint: str | None = None,
    *,
    region: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check that asks for ``bucket``; it needs boto3.

    Args:
        bucket: Its name.
        endpoint: The URL of the server; AWS where it is None.
        region: The region; what boto3 finds in the environment where it is None.
        access_key: Who we are; what boto3 finds in the environment where it is None.
        secret_key: That it is us; to be given together with ``access_key``.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for each of connecting and receiving.
    """
    if not isinstance(bucket, str) or not bucket:
        raise ValueError("bucket must be the name of a bucket")
    if (access_key is None) != (secret_key is None):
        raise ValueError("access_key and secret_key are given together, or not at all")
    if endpoint is not None:
        address_of(endpoint, "https://HOST:PORT", "http", "https")
    if ca_file is not None:
        trusted(ca_file)
    with needed("boto3", "a bucket of S3"):
        import boto3
        from botocore.config import Config

    limits = Config(connect_timeout=seconds(timeout), read_timeout=timeout, retries={"total_max_attempts": 1})
    session = boto3.session.Session(access_key, secret_key, region_name=region)
    options: dict[str, Any] = {"endpoint_url": endpoint, "config": limits}
    if ca_file is not None:
        options["verify"] = str(ca_file)

    def probe() -> None:
        with contextlib.closing(session.client("s3", **options)) as client:
            client.head_bucket(Bucket=bucket)

    return check_of("s3", probe)
