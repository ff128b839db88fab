"""The command: build, release, sbom, audit."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from tools.images.errors import ImageError
from tools.images.places import NAMES


def main(arguments: list[str]) -> int:
    """Do what the first argument says."""
    given = _parser().parse_args(arguments)
    try:
        given.act(given)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.images", description="Container images.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    build = verbs.add_parser("build", help="build what changed, print sizes, write archives")
    build.add_argument("targets", nargs="*", choices=[*NAMES, []], help="default: all")
    build.add_argument("--base", help="image with Python 3.11 to start from; local: made here with debootstrap")
    build.set_defaults(act=_build)
    release = verbs.add_parser("release", help="push, and write digests into manifests, settings and packages")
    release.add_argument("registry", help="host[:port][/path]")
    release.add_argument("--base", help="as for build")
    release.add_argument(
        "--use-case", type=Path, default=Path("use_cases/fraud.yaml"), help="whose packages to compile"
    )
    release.add_argument("--modified", action="store_true", help="release sources that no commit holds, too")
    release.set_defaults(act=_release)
    sbom = verbs.add_parser("sbom", help="a bill of materials of each image, CycloneDX")
    sbom.add_argument("targets", nargs="*", choices=[*NAMES, []], help="default: all")
    sbom.set_defaults(act=_sbom)
    audit = verbs.add_parser("audit", help="known weaknesses of what the images hold")
    audit.add_argument("--report", type=Path, help="a report of pip-audit --format=json, in place of its service")
    audit.add_argument("--advisories", type=Path, help="a clone of github.com/pypa/advisory-database, likewise")
    audit.set_defaults(act=_audit)
    return parser


def _build(given: argparse.Namespace) -> None:
    from tools.images.build import build

    build(given.targets or tuple(NAMES), given.base or None)


def _release(given: argparse.Namespace) -> None:
    from tools.images.release import release

    release(given.registry, base=given.base or None, use_case=given.use_case, modified=given.modified)


def _sbom(given: argparse.Namespace) -> None:
    from tools.images.sbom import write_all

    write_all(given.targets or tuple(NAMES))


def _audit(given: argparse.Namespace) -> None:
    from tools.images.audit import audit

    audit(datetime.now(UTC).date(), report=given.report, database=given.advisories)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
