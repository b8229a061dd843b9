"""Check of an S3 bucket."""

import contextlib
from os import PathLike
from typing import Any

from concurrent_log.health.checks.address import parse_address
from concurrent_log.health.checks.client_library import client_library
from concurrent_log.health.checks.probes import TIMEOUT, Check, check_timeout, make_check
from concurrent_log.health.checks.tls import tls_context


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
    """Return a check that a bucket exists and is accessible. It needs boto3.

    Args:
        bucket: Name of the bucket.
        endpoint: URL of the server; None for AWS.
        region: The region; None for the one that boto3 finds in the environment.
        access_key: The access key; None for the credentials that boto3 finds in the environment.
        secret_key: The secret key. Give both keys or none.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for each of connecting and receiving.
    """
    if not isinstance(bucket, str) or not bucket:
        raise ValueError("bucket must be the name of a bucket")
    if (access_key is None) != (secret_key is None):
        raise ValueError("access_key and secret_key need each other: give both or none")
    if endpoint is not None:
        parse_address(endpoint, "https://HOST:PORT", "http", "https")
    if ca_file is not None:
        tls_context(ca_file)  # It validates the file.
    with client_library("boto3", "an S3 bucket"):
        import boto3
        from botocore.config import Config

    config = Config(connect_timeout=check_timeout(timeout), read_timeout=timeout, retries={"total_max_attempts": 1})
    session = boto3.session.Session(access_key, secret_key, region_name=region)
    options: dict[str, Any] = {"endpoint_url": endpoint, "config": config}
    if ca_file is not None:
        options["verify"] = str(ca_file)

    def probe() -> None:
        with contextlib.closing(session.client("s3", **options)) as client:
            client.head_bucket(Bucket=bucket)

    return make_check("s3", probe)
