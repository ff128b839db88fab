"""`make sbom`: a bill of materials of each image, CycloneDX 1.6, from what is installed in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from tools.images.build import Built, record
from tools.images.errors import ImageError
from tools.images.places import NAMES, home
from tools.images.running import printed

PROGRAM = Path(__file__).parent / "inside.py"
# A licence's whole text in a field for its name is no name.
_LONGEST = 100


def write_all(targets: Iterable[str] = tuple(NAMES)) -> list[Path]:
    """Write `TARGET.cdx.json` for images that were built.

    Raises:
        ImageError: one was not built, cannot be run, or its bill is not as the standard says.
    """
    paths = []
    for target in targets:
        built = record(target)
        if built is None:
            raise ImageError(f"{target}: it was not built here", "make images")
        held = json.loads(printed(built.reference, PROGRAM.read_text()))
        bill = JsonV1Dot6(bill_of_materials(built, held)).output_as_string(indent=2)
        if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill):
            raise ImageError(f"{target}: the bill of materials is not valid: {wrong}")
        paths.append(home() / f"{target}.cdx.json")
        paths[-1].write_text(bill)
        print(f"{paths[-1]}: {len(held['python'])} Python and {len(held['debian'])} Debian packages")
    return paths


def bill_of_materials(built: Built, held: Mapping[str, Any]) -> Bom:
    """The image as the thing described, its packages as the components; the same image gives the same bill."""
    image = Component(
        name=NAMES[built.target],
        version=built.version,
        type=ComponentType.CONTAINER,
        bom_ref=f"image:{built.identity}",
    )
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, built.identity))
    bom.metadata.component = image
    components = [_python(each) for each in held["python"]]
    components += [_debian(each, held["system"]) for each in held["debian"]]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(image, components)
    return bom


def _python(fields: Mapping[str, Any]) -> Component:
    name, version = canonicalize_name(fields["Name"]), fields["Version"]
    purl = PackageURL("pypi", name=name, version=version)
    references = []
    if str(fields.get("Home-page", "")).startswith("http"):
        references.append(ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(fields["Home-page"])))
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        description=fields.get("Summary"),
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=_licences(fields),
        external_references=references,
    )


def _licences(fields: Mapping[str, Any]) -> list[Any]:
    make = LicenseFactory()
    if "License-Expression" in fields:
        return [make.make_from_string(fields["License-Expression"])]
    named = str(fields.get("License", ""))
    if named and len(named) <= _LONGEST and "\n" not in named:
        return [make.make_from_string(named)]
    return [DisjunctiveLicense(name=each.rpartition(" :: ")[2]) for each in sorted(set(fields["licences"]))]


def _debian(fields: Mapping[str, str], system: Mapping[str, str]) -> Component:
    place = {"arch": fields["Architecture"], "distro": f"{system['ID']}-{system.get('VERSION_ID', '')}"}
    purl = PackageURL("deb", system["ID"], fields["Package"], fields["Version"], place)
    return Component(
        name=fields["Package"],
        version=fields["Version"],
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
    )
