"""Files laid over a use case file: what they change, and that a mistake names the file that it stands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import SettingsError
from sluice.settings import read_use_case

FRAUD = Path(__file__).parents[2] / "use_cases" / "fraud.yaml"


def overlay(folder: Path, text: str, name: str = "cluster.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_mappings_are_joined_and_all_else_is_replaced(tmp_path: Path) -> None:
    plain = read_use_case(FRAUD)
    store = overlay(tmp_path, "storage: {url: s3://sluice, allow_http: true}\nevaluation: {slices: []}\n")
    later = overlay(tmp_path, "storage: {url: s3://other}\n", "later.yaml")

    found = read_use_case(FRAUD, overlays=[store, later])

    assert (found.storage.url, found.storage.allow_http) == ("s3://other", True)
    assert found.storage.region == plain.storage.region
    assert found.evaluation.slices == []
    assert found.evaluation.bootstrap == plain.evaluation.bootstrap
    assert found.training == plain.training


def test_single_settings_lie_over_all_files(tmp_path: Path) -> None:
    file = overlay(tmp_path, "storage: {url: s3://sluice}\n")
    assert read_use_case(FRAUD, {"storage.url": "here"}, [file]).storage.url == "here"


def test_every_mistake_names_its_path_and_its_file(tmp_path: Path) -> None:
    main = tmp_path / "main.yaml"
    main.write_text(FRAUD.read_text().replace("seed: ", "seed: -"))
    file = overlay(tmp_path, "storage: {urll: s3://sluice}\nfeatures: {online: {store: redis}}\n")

    with pytest.raises(SettingsError) as error:
        read_use_case(main, overlays=[file])

    places = {problem.partition(":")[0] for problem in error.value.problems}
    assert f"seed (in {main})" in places
    assert f"storage.urll (in {file})" in places
    assert any(place.startswith("features.online") and place.endswith(f"(in {file})") for place in places)
    assert str(file) in error.value.message


@pytest.mark.parametrize(("text", "said"), [(None, "no such file"), ("[1]", "got list"), ("a: [", "is not YAML")])
def test_a_layer_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "cluster.yaml" if text is None else overlay(tmp_path, text)
    with pytest.raises(SettingsError, match=said) as error:
        read_use_case(FRAUD, overlays=[file])
    assert str(file) in error.value.message
