"""The policy of a role, in the language that AWS and MinIO share."""

from __future__ import annotations

from typing import Any

from sluice.storage.roles import LOG, UNSEEN, Places, Role


def policy(role: Role, places: Places, *, aws: bool = False) -> dict[str, Any]:
    """The role's policy.

    Args:
        aws: AWS tells a missing key from a forbidden one only to who may list the whole bucket; MinIO tells anyone.
    """
    reads = [places.store + key for key in role.reads] + _outputs(places, role.takes)
    writes = [places.store + key for key in role.writes] + _outputs(places, role.gives)
    deletes = [places.store + key for key in role.deletes]
    log = [places.store + LOG]
    statements = [
        _allow(["s3:GetObject"], _keys(places, reads) + [f"arn:aws:s3:::{s}*" for s in _sources(role, places)]),
        _allow(["s3:PutObject", "s3:AbortMultipartUpload"], _keys(places, writes)),
        _allow(["s3:DeleteObject", *(["s3:DeleteObjectVersion"] if role.purges else [])], _keys(places, deletes)),
        *_listing(places, ["*"] if aws and role.probes else reads + deletes, _sources(role, places)),
        _allow(["s3:PutObjectRetention", "s3:GetObjectRetention"], _keys(places, log if role.decides else [])),
        {"Effect": "Deny", "Action": _denied_on_the_log(role), "Resource": _keys(places, log)},
    ]
    own = {*role.takes, *role.gives}
    if "split/sealed" not in own:
        unseen = tuple(output for output in UNSEEN if output not in own)
        statements.append({"Effect": "Deny", "Action": ["s3:*"], "Resource": _keys(places, _outputs(places, unseen))})
    return {"Version": "2012-10-17", "Statement": [each for each in statements if each["Resource"]]}


def _denied_on_the_log(role: Role) -> list[str]:
    """A decision stays as it was written: nobody deletes one or shortens its lock, and only the gate adds one."""
    kept = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
    return kept if role.decides else [*kept, "s3:PutObject", "s3:PutObjectRetention", "s3:PutObjectLegalHold"]


def _listing(places: Places, keys: list[str], sources: list[str]) -> list[dict[str, Any]]:
    """Names are listed only where contents may be read."""
    prefixes = {places.bucket: sorted({key.removesuffix("*") + "*" for key in keys})} if keys else {}
    for source in sources:
        bucket, _, prefix = source.partition("/")
        prefixes.setdefault(bucket, []).append(f"{prefix}*")
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": [f"arn:aws:s3:::{bucket}"],
            "Condition": {"StringLike": {"s3:prefix": patterns}},
        }
        for bucket, patterns in prefixes.items()
    ]


def _sources(role: Role, places: Places) -> list[str]:
    return list(places.sources) if role.sources else []


def _outputs(places: Places, names: tuple[str, ...]) -> list[str]:
    split = [name.split("/") for name in names]
    return [f"{places.pipelines}*/{step}/*/{output}{rest}" for step, output in split for rest in ("", "/*")]


def _keys(places: Places, keys: list[str]) -> list[str]:
    return [f"arn:aws:s3:::{places.bucket}/{key}" for key in keys]


def _allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}
