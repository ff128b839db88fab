"""A store behind TLS with an authority of its own: a real MinIO, and what is said where the trust is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import Bucket, certificate

from sluice.errors import StoreError
from sluice.settings.operation import Storage
from sluice.storage import open_store
from sluice.storage.bucket import count_versions, init_store
from sluice.storage.roles import Places
from sluice.storage.users import ensure_credentials, make_users


def by_both(storage: Storage, credentials: dict[str, str]) -> list[Callable[[], Any]]:
    """The two clients that speak to a store."""
    return [
        lambda: open_store(storage, credentials=credentials).get("key"),
        lambda: count_versions(storage, "registry", credentials=credentials),
    ]


def test_with_the_authority_everything_works_over_tls(tls_minio: Bucket, tmp_path: Path) -> None:
    storage, keys = tls_minio.storage, tls_minio.credentials
    assert str(storage.endpoint).startswith("https://") and not storage.allow_http
    store = open_store(storage, credentials=keys)
    assert store.put_if_absent("registry/key", b"value") and store.get("registry/key") == b"value"
    assert not store.put_if_absent("registry/key", b"other")
    assert count_versions(storage, "registry", credentials=keys) == {"registry/key": 1}
    made = storage.model_copy(update={"url": "s3://locked"})
    assert init_store(made, credentials=keys)
    assert open_store(made, credentials=keys).put_if_absent("registry/m/log/1.json", b"decision")
    make_users(made, Places.of(made.url), ensure_credentials(tmp_path / "roles"), credentials=keys)


@pytest.mark.parametrize("which", [0, 1], ids=["obstore", "minio"])
def test_without_the_authority_the_store_is_not_trusted(tls_minio: Bucket, which: int) -> None:
    storage = tls_minio.storage.model_copy(update={"ca": None})
    with pytest.raises(StoreError, match="not signed by an authority that is trusted here") as told:
        by_both(storage, tls_minio.credentials)[which]()
    assert "storage.ca" in str(told.value.hint)


@pytest.mark.parametrize("which", [0, 1], ids=["obstore", "minio"])
def test_with_another_authority_the_store_is_not_trusted(tls_minio: Bucket, which: int, tmp_path: Path) -> None:
    storage = tls_minio.storage.model_copy(update={"ca": str(certificate(tmp_path).authority)})
    with pytest.raises(StoreError, match="not signed by an authority that is trusted here"):
        by_both(storage, tls_minio.credentials)[which]()


@pytest.mark.parametrize("which", [0, 1], ids=["obstore", "minio"])
def test_a_certificate_for_another_name_is_told(tls_minio: Bucket, which: int) -> None:
    elsewhere = str(tls_minio.storage.endpoint).replace("127.0.0.1", "localhost")
    with pytest.raises(StoreError, match="its certificate is for another name"):
        by_both(tls_minio.storage.model_copy(update={"endpoint": elsewhere}), tls_minio.credentials)[which]()


@pytest.mark.parametrize("which", [0, 1], ids=["obstore", "minio"])
def test_plain_http_to_a_port_that_speaks_tls_is_told(tls_minio: Bucket, which: int) -> None:
    plain = str(tls_minio.storage.endpoint).replace("https://", "http://")
    storage = tls_minio.storage.model_copy(update={"endpoint": plain, "allow_http": True, "ca": None})
    with pytest.raises(StoreError, match="it speaks TLS") as told:
        by_both(storage, tls_minio.credentials)[which]()
    assert "https://" in str(told.value.hint)


@pytest.mark.parametrize("which", [0, 1], ids=["obstore", "minio"])
def test_tls_to_a_port_that_speaks_plain_http_is_told(minio: Bucket, which: int) -> None:
    secure = str(minio.storage.endpoint).replace("http://", "https://")
    storage = minio.storage.model_copy(update={"endpoint": secure, "allow_http": False})
    with pytest.raises(StoreError, match="it does not speak TLS"):
        by_both(storage, minio.credentials)[which]()


@pytest.mark.parametrize("which", [0, 1], ids=["obstore", "minio"])
def test_nothing_goes_in_the_clear_unless_the_settings_allow_it(minio: Bucket, which: int) -> None:
    with pytest.raises(StoreError, match="an endpoint without TLS") as told:
        by_both(minio.storage.model_copy(update={"allow_http": False}), minio.credentials)[which]()
    assert "storage.allow_http" in str(told.value.hint)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_is_none_is_told(minio: Bucket, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StoreError, match="there is no such file" if content is None else "holds no PEM certificate"):
        open_store(minio.storage.model_copy(update={"ca": str(path)}), credentials=minio.credentials)
