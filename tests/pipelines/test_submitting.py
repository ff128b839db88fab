"""Runs sent to a Kubeflow behind a token and a certificate of its own: a real TLS server that speaks its API."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from servers import certificate, free_port
from typer.testing import CliRunner

from sluice.errors import PipelineError
from sluice.settings import UseCase, parse_use_case, read_use_case
from sluice.storage import Store, open_store
from sluice_cli.main import app
from sluice_pipelines.packages import compile_package
from sluice_pipelines.publishing import fetch_package, publish_packages
from sluice_pipelines.submitting import Kubeflow, commit_here, run_name, submit, under_way

FRAUD = Path(__file__).parents[2] / "use_cases" / "fraud.yaml"
TOKEN = "a-token"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def use_case() -> UseCase:
    return read_use_case(FRAUD, {"pipeline.service_account": "sluice-pipeline"})


class Place:
    """The server: what it was sent, and what it shall say to a new run."""

    def __init__(self, folder: Path) -> None:
        self.runs: list[dict[str, Any]] = []
        self.experiments: list[dict[str, Any]] = []
        self.earlier: list[dict[str, Any]] = []
        self.says: tuple[int, dict[str, Any]] = (200, {"run_id": "r1"})
        self.token = folder / "token"
        self.token.write_text(f"{TOKEN}\n")
        tls = certificate(folder)
        self.ca = tls.authority
        place = self

        class Api(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if "/experiments" in self.path:
                    self.answer(200, {"experiments": place.experiments})
                elif "/runs" in self.path:
                    self.answer(200, {"runs": place.earlier})
                else:
                    self.answer(200, {"multi_user": True})

            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self.answer(401, {"error": "unauthenticated"})
                elif self.path.endswith("/experiments"):
                    self.answer(200, {"experiment_id": "e1", "display_name": sent["display_name"]})
                else:
                    place.runs.append(sent)
                    self.answer(*place.says)

            def answer(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"https://127.0.0.1:{self.server.server_port}/pipeline"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def kubeflow(self) -> Kubeflow:
        """As a person who has all of it names it."""
        return Kubeflow(self.host, "team", self.token, self.ca)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    # kfp keeps a context file in the home folder.
    monkeypatch.setattr("kfp.client.Client._LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    place = Place(tmp_path)
    yield place
    place.server.shutdown()
    place.server.server_close()


def test_a_run_carries_settings_account_and_a_name_that_tells_commit_and_data(place: Place, use_case: UseCase) -> None:
    address = submit(use_case, place.kubeflow, commit=COMMIT, data_version="feed" * 16)

    assert address == f"{place.host}/#/runs/details/r1"
    (run,) = place.runs
    assert run["display_name"] == "fraud training, commit 0123456789ab, data feedfeedfeed"
    assert run["service_account"] == "sluice-pipeline"
    assert parse_use_case(json.loads(run["runtime_config"]["parameters"]["settings"])) == use_case


def test_monitoring_is_sent_with_its_own_package_and_parameters(place: Place, use_case: UseCase) -> None:
    submit(use_case, place.kubeflow, pipeline="monitoring", commit=COMMIT)
    (run,) = place.runs
    assert run["display_name"] == "fraud monitoring, commit 0123456789ab"
    assert set(run["runtime_config"]["parameters"]) == {"settings"}
    assert '"name": "fraud-monitoring"' in json.dumps(run["pipeline_spec"])


def test_a_monitoring_that_has_not_ended_is_found_and_no_second_one_is_started(
    place: Place, use_case: UseCase, tmp_path: Path
) -> None:
    words = ["submit", str(FRAUD), "--pipeline", "monitoring", "--host", place.host, "--namespace", "team"]
    words += ["--token-file", str(place.token), "--ca", str(place.ca), "--commit", COMMIT]
    assert under_way(use_case, place.kubeflow, "monitoring") is None
    place.experiments = [{"experiment_id": "e1", "display_name": "fraud"}]
    place.earlier = [
        {"run_id": "a", "display_name": "fraud monitoring, commit a", "state": "SUCCEEDED"},
        {"run_id": "b", "display_name": "fraud training, commit b", "state": "RUNNING"},
    ]
    assert under_way(use_case, place.kubeflow, "monitoring") is None
    place.earlier.append({"run_id": "c", "display_name": "fraud monitoring, commit c", "state": "RUNNING"})
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0 and "nothing started: fraud monitoring, commit c" in " ".join(said.output.split())
    assert place.runs == []


def test_a_published_package_is_run_as_it_is(place: Place, use_case: UseCase, tmp_path: Path) -> None:
    package = compile_package(use_case, "training", tmp_path)
    package.write_text(package.read_text().replace(use_case.pipeline.image, "registry.example/pipeline@sha256:0"))
    submit(use_case, place.kubeflow, package=package)
    assert "registry.example/pipeline@sha256:0" in json.dumps(place.runs[0]["pipeline_spec"])


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (
            403,
            {"error": "User is not authorized with reason: …"},
            "may not start runs there: 403 User is not authorized",
        ),
        (500, {"error": 'pods "a" is forbidden: exceeded quota: gpu, requested: 1'}, "quota is used up"),
        (404, {}, "no Kubeflow Pipelines API"),
        (503, {"error": "upstream"}, "does not take the run"),
    ],
)
def test_refusals_are_told_in_words(
    place: Place, use_case: UseCase, status: int, answer: dict[str, Any], said: str
) -> None:
    place.says = status, answer
    with pytest.raises(PipelineError) as error:
        submit(use_case, place.kubeflow)
    assert said in error.value.message
    assert error.value.hint


def test_a_wrong_token_and_a_missing_authority(place: Place, use_case: UseCase, tmp_path: Path) -> None:
    place.token.write_text("old")
    with pytest.raises(PipelineError, match="token is not accepted") as refused:
        submit(use_case, place.kubeflow)
    assert "old" not in str(refused.value)
    with pytest.raises(PipelineError, match="not signed by an authority") as strange:
        submit(use_case, Kubeflow(place.host, "team", place.token))
    assert "--ca" in strange.value.hint
    with pytest.raises(PipelineError, match="no such file"):
        submit(use_case, Kubeflow(place.host, "team", place.token, tmp_path / "none"))
    with pytest.raises(PipelineError, match="cannot be read"):
        submit(use_case, Kubeflow(place.host, "team", tmp_path / "none", place.ca))


def test_a_host_that_does_not_answer_is_named(use_case: UseCase, place: Place) -> None:
    port = free_port()
    with pytest.raises(PipelineError, match=rf"http://127\.0\.0\.1:{port}"):
        submit(use_case, Kubeflow(f"http://127.0.0.1:{port}", "team"))


def test_the_name_leaves_out_what_is_not_known(use_case: UseCase) -> None:
    assert run_name(use_case, "", "") == "fraud training"


def test_a_commit_with_changes_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert commit_here() == ""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    (tmp_path / "file").write_text("1")
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    assert len(commit_here()) == 40
    (tmp_path / "file").write_text("2")
    assert commit_here().endswith("+")


@pytest.fixture
def store(tmp_path: Path, use_case: UseCase) -> Store:
    return open_store(use_case.storage.model_copy(update={"url": str(tmp_path / "store")}))


def test_packages_are_published_once_under_a_commit(store: Store, tmp_path: Path) -> None:
    (tmp_path / "fraud-training.yaml").write_text("one")
    (tmp_path / "other-training.yaml").write_text("another model's")
    keys = publish_packages(store, tmp_path, "fraud", COMMIT)
    assert keys == [f"packages/{COMMIT}/fraud-training.yaml"]
    assert publish_packages(store, tmp_path, "fraud", COMMIT) == keys

    (tmp_path / "fetched").mkdir()
    assert fetch_package(store, "fraud", COMMIT, tmp_path / "fetched").read_text() == "one"
    with pytest.raises(PipelineError, match="has no package fraud-training"):
        fetch_package(store, "fraud", "0" * 40, tmp_path / "fetched")

    (tmp_path / "fraud-training.yaml").write_text("two")
    with pytest.raises(PipelineError, match="holds another package"):
        publish_packages(store, tmp_path, "fraud", COMMIT)
    assert store.get(keys[0]) == b"one"
    for commit in ("", "0123456789a+", "main"):
        with pytest.raises(PipelineError, match="no commit's hash"):
            publish_packages(store, tmp_path, "fraud", commit)
    with pytest.raises(PipelineError, match="holds no packages"):
        publish_packages(store, tmp_path, "rides", COMMIT)
