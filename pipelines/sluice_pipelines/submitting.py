"""Send a pipeline to a Kubeflow Pipelines, also one behind authentication with a certificate of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import urllib3

from sluice.errors import PipelineError, SluiceError
from sluice.ingest.fingerprint import source_digest
from sluice.settings import UseCase, settings_json
from sluice_pipelines.packages import compile_package

SHORT = 12
Submitted = Literal["training", "monitoring"]
_ENDED = frozenset({"SUCCEEDED", "SKIPPED", "FAILED", "CANCELED"})
_REFUSALS = {
    400: ("the request is refused", "the message is Kubeflow's own; is the package made for its version?"),
    401: ("the token is not accepted", "give a fresh one with --token-file"),
    403: ("this account may not start runs there", "ask for the role kubeflow-edit in --namespace"),
    404: ("there is no Kubeflow Pipelines API at this address", "--host ends in /pipeline behind a central dashboard"),
}


@dataclass(frozen=True)
class Kubeflow:
    """Where Kubeflow Pipelines is, and who asks. `ca`: file with the authority that signed its certificate."""

    host: str
    namespace: str | None = None
    token_file: Path | None = None
    ca: Path | None = None

    def client(self) -> Any:
        """A client of its API.

        Raises:
            PipelineError: the token or the authority cannot be read.
        """
        from kfp import Client

        if self.ca is not None and not self.ca.is_file():
            raise PipelineError(f"{self.ca}: there is no such file", "give the authority's certificate as PEM")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="This client only works with", category=FutureWarning)
            made = Client(
                host=self.host,
                namespace=self.namespace or "kubeflow",
                existing_token=_token(self.token_file),
                ssl_ca_cert=str(self.ca) if self.ca else None,
            )
        # What does not answer, or shows a strange certificate, is told at once and not after three more tries.
        made._run_api.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(0)
        return made


def submit(
    use_case: UseCase,
    kubeflow: Kubeflow,
    *,
    pipeline: Submitted = "training",
    commit: str = "",
    data_version: str = "",
    sample: float = 1.0,
    package: Path | None = None,
    client: Any = None,
) -> str:
    """Start a pipeline on Kubeflow; returns the run's address.

    Args:
        sample: share of the entities that is trained on.
        commit, data_version: go into the run's name, where they are known.
        package: a compiled one, such as CI publishes; default: compiled now.

    Raises:
        PipelineError: the host does not answer or refuses; the token file or the package cannot be read.
    """
    if package is not None and not package.is_file():
        raise PipelineError(f"{package}: there is no such file", "`sluice compile` writes packages")
    with tempfile.TemporaryDirectory(prefix="sluice-submit-") as scratch:
        path = package or compile_package(use_case, pipeline, Path(scratch))
        given = {"settings": settings_json(use_case)} | ({"sample": sample} if pipeline == "training" else {})
        try:
            started = (client or kubeflow.client()).create_run_from_pipeline_package(
                str(path),
                arguments=given,
                run_name=run_name(use_case, commit, data_version, pipeline=pipeline),
                experiment_name=use_case.name,
                namespace=kubeflow.namespace,
                service_account=use_case.pipeline.service_account,
            )
        except SluiceError:
            raise
        except Exception as error:
            raise _explained(error, kubeflow) from None
    return f"{kubeflow.host.rstrip('/')}/#/runs/details/{started.run_id}"


def under_way(use_case: UseCase, kubeflow: Kubeflow, pipeline: Submitted, *, client: Any = None) -> str | None:
    """The name of a run of this pipeline that was sent there and has not ended; None: there is none.

    Raises:
        PipelineError: the host does not answer or refuses.
    """
    try:
        asked = client or kubeflow.client()
        found = asked.list_experiments(page_size=100, namespace=kubeflow.namespace).experiments or []
        own = [one.experiment_id for one in found if one.display_name == use_case.name]
        runs = asked.list_runs(page_size=100, sort_by="created_at desc", experiment_id=own[0]).runs if own else []
    except SluiceError:
        raise
    except Exception as error:
        raise _explained(error, kubeflow) from None
    begins = run_name(use_case, "", "", pipeline=pipeline)
    names = [run.display_name for run in runs or [] if run.state not in _ENDED and run.display_name.startswith(begins)]
    return names[0] if names else None


def run_name(use_case: UseCase, commit: str, data_version: str, *, pipeline: Submitted = "training") -> str:
    """What the run is called: the model, the commit it was sent from, and the version of its data."""
    parts = [f"{use_case.name} {pipeline}"]
    parts += [f"commit {commit[:SHORT]}"] if commit else []
    parts += [f"data {data_version[:SHORT]}"] if data_version else []
    return ", ".join(parts)


def commit_here() -> str:
    """The commit of the working directory, with `+` where something is not committed; empty outside of a checkout."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip()[: SHORT - 1] + "+" if changed.stdout else head.stdout.strip()


def data_version_of(use_case: UseCase) -> tuple[str, str]:
    """The digest of what lies at the data's address, or "" and why it cannot be told from here."""
    try:
        return source_digest(use_case), ""
    except SluiceError as error:
        return "", error.message


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}", "give a file that holds the token") from None


def _explained(error: Exception, kubeflow: Kubeflow) -> PipelineError:
    """Kubeflow's refusal, with what it said and what to do."""
    where, status, said = kubeflow.host, getattr(error, "status", None), _said(error)
    if "quota" in said.lower():
        advice = "wait for other runs, or ask for a larger ResourceQuota in the namespace"
        return PipelineError(f"{where}: the namespace's quota is used up: {said}", advice)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        advice = "give the certificate authority's PEM file with --ca"
        return PipelineError(f"{where}: its certificate is not signed by an authority that is trusted here", advice)
    if status in _REFUSALS:
        meaning, advice = _REFUSALS[status]
        return PipelineError(f"{where}: {meaning}: {status} {said}", advice)
    return PipelineError(
        f"{where}: Kubeflow Pipelines does not take the run: {type(error).__name__}: {said}",
        "check --host (the address of the pipelines API), --namespace and --token-file",
    )


def _said(error: Exception) -> str:
    body = getattr(error, "body", None) or str(error)
    try:
        document = json.loads(body)
        body = document.get("error_message") or document.get("message") or document.get("error") or body
    except (ValueError, AttributeError, TypeError):
        pass
    return " ".join(str(body).split())[:300]
