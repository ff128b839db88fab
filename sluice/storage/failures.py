"""What went wrong with a store, said so that a person knows what to do."""

from __future__ import annotations

from obstore.exceptions import BaseError, NotFoundError

from sluice.errors import StoreError, first_line

_TRUST = "name its authority's PEM file in storage.ca"
_SIGNS = (
    ("NoSuchBucket", "there is no such bucket", "make it with `sluice init`, or correct storage.url"),
    ("InvalidAccessKeyId", "the access key is unknown", "check AWS_ACCESS_KEY_ID"),
    ("SignatureDoesNotMatch", "the secret key is wrong", "check AWS_SECRET_ACCESS_KEY"),
    ("InvalidTokenId", "the session token is wrong", "check AWS_SESSION_TOKEN"),
    ("AccessDenied", "these credentials may not do this", "check the user's policy"),
    ("XMinioStorageFull", "the server's disk is full", "free room there, then run again: finished steps are reused"),
    ("No space left", "the disk is full", "free room, then run again: finished steps are reused"),
    ("os error 28", "the disk is full", "free room, then run again: finished steps are reused"),
    ("os error 122", "the disk quota is used up", "free room, then run again: finished steps are reused"),
    ("File too large", "the file is larger than this disk or user may hold", "raise the limit, or use another folder"),
    ("Permission denied", "this user may not write or read there", "check the owner of the folder in storage.url"),
    ("Read-only file system", "the disk is read-only", "use another folder as storage.url"),
    ("ServerNotInitialized", "the server is still starting", "wait a few seconds, then run again"),
    ("403 Forbidden", "the credentials are wrong or may not do this", "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
    ("NotValidForName", "its certificate is for another name", "write the name in storage.endpoint that it is for"),
    ("mismatch, certificate is not valid", "its certificate is for another name", "correct storage.endpoint"),
    ("ExpiredContext", "its certificate has expired", "renew it there"),
    ("certificate has expired", "its certificate has expired", "renew it there"),
    ("UnknownIssuer", "its certificate is not signed by an authority that is trusted here", _TRUST),
    ("BadSignature", "its certificate is not signed by an authority that is trusted here", _TRUST),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not signed by an authority that is trusted here", _TRUST),
    ("HTTP request to an HTTPS server", "it speaks TLS", "write https:// in storage.endpoint"),
    ("InvalidContentType", "it does not speak TLS", "write http:// in storage.endpoint, with storage.allow_http: true"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS", "write http://, with storage.allow_http: true"),
    ("record layer failure", "it does not speak TLS", "write http://, with storage.allow_http: true"),
    ("error sending request", "the server does not answer", "start it or correct storage.endpoint, then run again"),
    ("operation timed out", "the server does not answer in time", "check its load and the network, then run again"),
    ("request or response body", "the connection broke off", "check the server and the network, then run again"),
)


class Explained:
    """Turns the backend's errors into `StoreError`s that name the store and the key."""

    def __init__(self, url: str, key: str) -> None:
        self._where = f"{url}/{key}" if key else url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, BaseError | OSError):
            return
        raise explain(error, self._where) from None


def explain(error: BaseException, where: str) -> StoreError:
    """The error for a person; `where` names the object."""
    text = str(error)
    if is_not_found(error):
        return StoreError(f"{where}: not there", "check the name and storage.url")
    # On S3 the sign is in the body of the answer, which the message holds in full.
    for sign, meaning, advice in _SIGNS:
        if sign.lower() in text.lower():
            return StoreError(f"{where}: {meaning}", advice)
    said = f"{where}: the store refuses or does not answer: {first_line(error)}"
    return StoreError(said, "check the store, then run again")


def is_not_found(error: BaseException) -> bool:
    """Whether the key is missing, and not its bucket."""
    return isinstance(error, NotFoundError | FileNotFoundError) and "NoSuchBucket" not in str(error)
