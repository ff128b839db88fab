"""The pod of a step: what the package says of it, within what Kubeflow's own workflow adds to every step.

Of Kubeflow (2.15 and later) come the scratch volumes, the container's seccomp profile, no new privileges and no
capabilities. Everything that the restricted Pod Security Standard asks for beyond that has to be in the package.
"""

from __future__ import annotations

from typing import Any

from tests.cluster.kubeflow.graph import Step

SCRATCH = ("gcs", "s3", "minio", ".local", ".cache", ".config")
_UNITS = {"cpu": ("cpuRequest", "cpuLimit"), "memory": ("memoryRequest", "memoryLimit")}
_COVERED = {
    "activeDeadlineSeconds",
    "configMapAsEnv",
    "configMapAsVolume",
    "emptyDirMounts",
    "imagePullPolicy",
    "nodeSelector",
    "podMetadata",
    "secretAsEnv",
    "secretAsVolume",
    "securityContext",
    "tolerations",
}


def pod(step: Step, name: str, executor_input: str, *, account: str, launcher: str, endpoint: str) -> dict[str, Any]:
    """The pod of a step; `launcher` names the ConfigMap that holds the launcher's program."""
    platform, container = step.platform, step.container
    if unknown := set(platform) - _COVERED:
        raise ValueError(f"{step.name}: {sorted(unknown)} of the platform is not covered here")
    volumes, mounts = _volumes(platform, launcher)
    main = {
        "name": "main",
        "image": container["image"],
        "imagePullPolicy": platform.get("imagePullPolicy", "IfNotPresent"),
        "command": ["python3", "/kfp-launcher/launcher.py", executor_input, "--", *container.get("command", [])],
        "args": container.get("args", []),
        "env": [
            *({"name": one["name"], "value": one["value"]} for one in container.get("env", [])),
            {"name": "LAUNCHER_ENDPOINT", "value": endpoint},
            *_environment(platform),
        ],
        "resources": _resources(container.get("resources", {})),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            **{key: _number(value) for key, value in platform.get("securityContext", {}).items()},
        },
        "volumeMounts": mounts,
    }
    specification = {
        "restartPolicy": "Never",
        "serviceAccountName": account,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "nodeSelector": platform.get("nodeSelector", {}).get("labels", {}),
        "tolerations": platform.get("tolerations", []),
        "containers": [main],
        "volumes": volumes,
    }
    if "activeDeadlineSeconds" in platform:
        specification["activeDeadlineSeconds"] = int(platform["activeDeadlineSeconds"])
    metadata = {"name": name, **platform.get("podMetadata", {})}
    metadata["labels"] = {**metadata.get("labels", {}), "pipelines.kubeflow.org/v2_component": "true"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": specification}


def _volumes(platform: dict[str, Any], launcher: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = [{"name": "kfp-launcher", "configMap": {"name": launcher}}]
    mounts: list[dict[str, Any]] = [{"name": "kfp-launcher", "mountPath": "/kfp-launcher"}]
    for place in SCRATCH:
        name = place.replace(".", "dot-") + "-scratch"
        volumes.append({"name": name, "emptyDir": {}})
        mounts.append({"name": name, "mountPath": f"/{place}"})
    for one in platform.get("emptyDirMounts", []):
        limit = {"sizeLimit": one["sizeLimit"]} if one.get("sizeLimit") else {}
        volumes.append({"name": one["volumeName"], "emptyDir": limit})
        mounts.append({"name": one["volumeName"], "mountPath": one["mountPath"]})
    for kind, key, named in (("secret", "secretName", "secretName"), ("configMap", "configMapName", "name")):
        for one in platform.get(f"{kind}AsVolume", []):
            name = _constant(one, key)
            volumes.append({"name": name, kind: {named: name, "optional": one.get("optional", False)}})
            mounts.append({"name": name, "mountPath": one["mountPath"], "readOnly": True})
    return volumes, mounts


def _environment(platform: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = (("secretAsEnv", "secretName", "secretKey"), ("configMapAsEnv", "configMapName", "configMapKey"))
    return [
        {
            "name": pair["envVar"],
            "valueFrom": {f"{kind.removesuffix('AsEnv')}KeyRef": {"name": _constant(one, name), "key": pair[key]}},
        }
        for kind, name, key in kinds
        for one in platform.get(kind, [])
        for pair in one["keyToEnv"]
    ]


def _constant(one: dict[str, Any], name: str) -> str:
    if name in one:
        return str(one[name])
    return str(one[f"{name}Parameter"]["runtimeValue"]["constant"])


def _resources(asked: dict[str, Any]) -> dict[str, Any]:
    requests, limits = {}, {}
    for resource, (request, limit) in _UNITS.items():
        for amounts, key in ((requests, request), (limits, limit)):
            written = asked.get(f"resource{key[0].upper()}{key[1:]}", asked.get(key))
            if written is not None:
                amounts[resource] = str(written)
    accelerator = asked.get("accelerator")
    if accelerator:
        name = accelerator.get("resourceType", accelerator.get("type"))
        limits[name] = accelerator.get("resourceCount", accelerator.get("count"))
    return {"requests": requests, "limits": limits}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value
