"""TLS to an S3: whom it is that a store trusts, and that nothing goes in the clear unless the settings allow it."""

from __future__ import annotations

import ssl
from pathlib import Path

from sluice.errors import StoreError
from sluice.settings.operation import Storage


def authority(storage: Storage) -> str | None:
    """PEM of the authority in `storage.ca`; None: those that the machine trusts.

    Raises:
        StoreError: the endpoint has no TLS and `storage.allow_http` is not set, or the file holds no certificate.
    """
    if storage.endpoint and storage.endpoint.startswith("http://") and not storage.allow_http:
        raise StoreError(
            f"{storage.endpoint}: an endpoint without TLS", "write https://, or set storage.allow_http: true"
        )
    if storage.ca is None:
        return None
    try:
        text = Path(storage.ca).read_text()
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors, too
        problem = "there is no such file" if isinstance(error, FileNotFoundError) else "it holds no PEM certificate"
        raise StoreError(f"{storage.ca}: {problem}", "name the authority's PEM file in storage.ca") from None
    return text


def context(storage: Storage) -> ssl.SSLContext:
    """For Python's own clients: the machine's authorities and that of the settings.

    Raises:
        StoreError: as `authority`.
    """
    made = ssl.create_default_context()
    text = authority(storage)
    if text is not None:
        made.load_verify_locations(cadata=text)
    return made
