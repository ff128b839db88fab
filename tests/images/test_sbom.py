"""The bill of materials: valid, complete, the same for the same image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cyclonedx.output.json import JsonV1Dot6

from tools.images.build import Built
from tools.images.inside import python_packages
from tools.images.sbom import bill_of_materials, write_all

BUILT = Built("serving", "docker.io/sluice/serving-python:0.1.0", "c0ffee", "1", "b", "0.1.0", "abc", 1, 2, "x.tar")
HELD = {
    "python": [
        {"Name": "Jinja2", "Version": "3.1.6", "License-Expression": "BSD-3-Clause", "licences": []},
        {"Name": "odd", "Version": "1", "License": "A long text\nof many lines", "licences": ["License :: OSI :: MIT"]},
    ],
    "debian": [{"Package": "libc6", "Version": "2.36-9", "Architecture": "amd64", "Source": "glibc"}],
    "system": {"ID": "debian", "VERSION_ID": "12"},
}


def test_the_same_image_gives_the_same_bill_but_for_its_time() -> None:
    bills = [json.loads(JsonV1Dot6(bill_of_materials(BUILT, HELD)).output_as_string()) for _ in range(2)]
    for bill in bills:
        bill["metadata"].pop("timestamp")
    assert bills[0] == bills[1]
    assert {each["purl"] for each in bills[0]["components"]} == {
        "pkg:pypi/jinja2@3.1.6",
        "pkg:pypi/odd@1",
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12",
    }
    licences = {each["name"]: each.get("licenses") for each in bills[0]["components"]}
    assert licences["jinja2"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert licences["odd"] == [{"license": {"name": "MIT"}}]


def test_what_is_installed_is_read_with_the_standard_library_alone() -> None:
    held = {each["Name"].lower(): each for each in python_packages()}
    assert {"sluice", "polars", "pytest"} <= set(held)


@pytest.mark.images
@pytest.mark.timeout(1800)
def test_a_real_image_is_listed(serving: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_all([serving.target])
    bill = json.loads(Path(path).read_text())
    names = {each["purl"].partition("@")[0] for each in bill["components"]}
    assert {"pkg:pypi/sluice", "pkg:pypi/feast", "pkg:deb/debian/libc6"} <= names
    assert "pkg:pypi/torch" not in names
    assert bill["metadata"]["component"]["name"] == "sluice/serving-python"
