"""Make the users of a MinIO store, one a role, each with its policy; and their credentials where there are none."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException

from sluice.errors import StoreError
from sluice.settings.operation import Storage
from sluice.storage.bucket import patient_pool, standard_keys
from sluice.storage.failures import explain
from sluice.storage.policies import policy
from sluice.storage.roles import ROLES, Places, Role

ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


def ensure_credentials(folder: Path) -> dict[str, dict[str, str]]:
    """Credentials by role, from `folder/<role>/AWS_ACCESS_KEY_ID` and `…/AWS_SECRET_ACCESS_KEY`; made where missing.

    Raises:
        StoreError: a file is missing and cannot be written, or empty.
    """
    return {name: {key: _ensure(folder / name / key, name) for key in (ACCESS_KEY, SECRET_KEY)} for name in ROLES}


def make_users(
    storage: Storage,
    places: Places,
    users: dict[str, dict[str, str]],
    *,
    roles: Mapping[str, Role] = ROLES,
    credentials: dict[str, str] | None = None,
) -> None:
    """Make or change the users so that they have these secrets and the policies of their roles.

    Args:
        users: as `ensure_credentials` gives them.
        roles: what each may do.
        credentials: of MinIO's administrator; default: the environment's.

    Raises:
        StoreError: the server does not answer or refuses, or is no MinIO.
    """
    admin = _admin(storage, credentials)
    for name, user in users.items():
        title = f"{places.bucket}-{name}"
        try:
            admin.policy_add(title, policy=policy(roles[name], places))
            admin.user_add(user[ACCESS_KEY], user[SECRET_KEY])
            admin.policy_set(title, user=user[ACCESS_KEY])
        except MinioAdminException as error:
            raise _explained(storage, name, error) from None
        except urllib3.exceptions.HTTPError as error:
            raise explain(OSError(f"error sending request: {error}"), str(storage.endpoint)) from None


def write_policies(folder: Path, places: Places, roles: Mapping[str, Role] = ROLES) -> list[Path]:
    """Write each role's policy as JSON, for an S3 whose users are made elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, role in roles.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(policy(role, places, aws=True), indent=2) + "\n")
    return paths


def _admin(storage: Storage, credentials: dict[str, str] | None) -> MinioAdmin:
    if storage.endpoint is None:
        raise StoreError(f"{storage.url}: users are made in a MinIO", "set storage.endpoint, or use --policies")
    endpoint = urlsplit(storage.endpoint)
    keys = standard_keys(credentials)
    provider = StaticProvider(keys["access_key_id"] or "", keys["secret_access_key"] or "", keys.get("token"))
    return MinioAdmin(
        endpoint=endpoint.netloc,
        credentials=provider,
        region=storage.region,
        secure=endpoint.scheme == "https",
        http_client=patient_pool(storage),
    )


def _ensure(path: Path, role: str) -> str:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = f"sluice-{role}" if path.name == ACCESS_KEY else secrets.token_hex(20)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(made)
        found = path.read_text().strip()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", "mount the Secret there, or name a folder of yours") from None
    if not found:
        raise StoreError(f"{path} is empty", "write the key into it, or remove it so that one is made")
    return found


def _explained(storage: Storage, role: str, error: MinioAdminException) -> StoreError:
    text = str(error)
    if "AccessDenied" in text or "status 403" in text.lower():
        advice = "users are made with the keys of MinIO's administrator in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
        return StoreError(f"{storage.endpoint}: these credentials may not make the user of {role}", advice)
    first = " ".join(text.split())[:300]
    return StoreError(
        f"{storage.endpoint}: the user of {role} cannot be made: {first}",
        "is it a MinIO? For another S3 take the policies of `sluice init --policies`",
    )
