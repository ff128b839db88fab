"""Report, card and terminal tables: complete, self-contained, escaped, and nothing in them that is not evidence."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from report.cases import candidate, evidence, sealed_rows, sealed_scores, unopened, use_case, verdict
from sluice.errors import DataError
from sluice.report import Evidence, evaluations_of, write_card, write_report
from sluice.report.page import escape_markdown
from sluice.report.terminal import run_tables
from sluice.report.words import interval, number

EVIL = "<script>alert(1)</script>|`*[x](javascript:1)\"'&"


class Page(HTMLParser):
    """Collects tags, attributes and text, and notices tags that do not close."""

    VOID = frozenset({"meta", "br", "!doctype"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href", "srcset", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def good() -> Evidence:
    """A promoted challenger."""
    return evidence()


@pytest.fixture(scope="module")
def report(good: Evidence, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its report."""
    return write_report(good, tmp_path_factory.mktemp("report")).read_text(encoding="utf-8")


def test_the_first_words_say_what_was_decided_and_why(report: str, good: Evidence) -> None:
    text = Page(report).text
    first = text[text.index("fraud · version") :][:600]
    assert "Promoted The challenger (trees) passed all 5 checks." in first
    assert "On 6,000 sealed rows" in first and "the champion reaches" in first
    assert good.challenger is not None
    assert interval(good.challenger["metrics"]["average_precision"]) in first


def test_the_report_is_whole(report: str) -> None:
    page = Page(report)
    assert page.open == [] and len(page.ids) == len(set(page.ids))
    for word in ("Verdict", "Contenders on the sealed test", "Scores", "Slices", "Training", "Features", "Data"):
        assert word in page.text
    assert page.tags.count("figure") >= 12
    for feature in ("card_count_1d", "terminal_risk_7d"):
        assert feature in page.text


def test_the_report_loads_nothing(report: str) -> None:
    page = Page(report)
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "link", "img", "iframe", "image", "object", "use"} & set(page.tags)
    outside = set(re.findall(r"https?://[^\"'\s<)]+", report))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "@import" not in report and "url(http" not in report


def test_charts_take_the_pages_colours(report: str) -> None:
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", report))
    defined = set(re.findall(r"(--[a-z0-9-]+):", report))
    assert {"--challenger", "--champion", "--ink", "--grid"} <= used <= defined
    assert "#0a00" not in report
    assert "prefers-color-scheme: dark" in report


def test_references_inside_a_drawing_stay_inside_it(report: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', report))
    assert set(re.findall(r"url\(#([^)]+)\)", report)) <= ids


def test_the_same_evidence_gives_the_same_bytes(report: str, good: Evidence, tmp_path: Path) -> None:
    assert write_report(good, tmp_path).read_text(encoding="utf-8") == report


def test_a_refusal_says_so(good: Evidence, tmp_path: Path) -> None:
    refused = replace(good, verdict=verdict(False), decision="refused")
    text = Page(write_report(refused, tmp_path).read_text(encoding="utf-8")).text
    assert "Not promoted The challenger (trees) was refused by the gate: scores are off by 0.0310" in text


def test_a_closed_seal_leaves_no_figures(tmp_path: Path) -> None:
    closed = unopened()
    text = Page(write_report(closed, tmp_path).read_text(encoding="utf-8")).text
    assert "The sealed test stayed closed" in text and "byte for byte" in text
    assert "Contenders" not in text
    assert "there are none" in write_card(closed, tmp_path).read_text(encoding="utf-8")


def test_names_from_the_data_stay_text(good: Evidence, tmp_path: Path) -> None:
    """A column, a slice, a candidate and a reason that try to be HTML or Markdown."""
    slices = [{**part, "column": EVIL, "value": EVIL} for part in good.evaluations["challenger"]["slices"]]
    challenger = {**good.evaluations["challenger"], "slices": slices}
    column = {"name": EVIL, "kind": "category", "fill": None, "vocabulary": [EVIL]}
    checks = [{"name": EVIL, "passed": False, "text": EVIL, "figures": {EVIL: EVIL}, "threshold": EVIL}]
    evil = replace(
        good,
        evaluations={"challenger": challenger},
        verdict={**good.verdict, "checks": checks, "reason": EVIL, "passed": False},
        candidates=[candidate(EVIL, EVIL, 0.5, rounds=5)],
        chosen=EVIL,
        schema={"format": 1, "columns": [column]},
        drift=[{**good.drift[0], "feature": EVIL}],
        ingest={EVIL: 1, "reasons": {EVIL: 2}},
        digests={EVIL: EVIL},
        run=EVIL,
    )
    for path in (write_report(evil, tmp_path), write_card(evil, tmp_path).with_suffix(".html")):
        html = path.read_text(encoding="utf-8")
        page = Page(html)
        assert "script" not in page.tags and "<script" not in html and page.open == []
        assert all(link.startswith("#") for link in page.links)
        assert EVIL in "".join(page.words)
    markdown = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "<script" not in markdown and "](javascript" not in markdown.replace("\\]", "")
    assert run_tables(evil)


def test_the_card_holds_what_the_evidence_says(good: Evidence, tmp_path: Path) -> None:
    card = write_card(good, tmp_path).read_text(encoding="utf-8")
    for words in (
        "Rank card transactions for review.", "Owner: risk team", "- Made up.", "| average precision |",
        "fewer than 500", "stability index", "labels had not arrived", "a" * 64, "| learning_rate | 0.1 |",
        "| sealed test | 6,000 | 1.10% | 2018-09-10 | 2018-09-24 |", "| champion | passed |",
    ):  # fmt: skip
        assert words in card, words


def test_the_card_makes_nothing_up(good: Evidence, tmp_path: Path) -> None:
    case = use_case(about={}, gate={"metric": "average_precision", "min_slice_rows": 1})
    quiet = replace(good, use_case=case, drift=[], split={**good.split, "left_out": {}})
    card = write_card(quiet, tmp_path).read_text(encoding="utf-8")
    assert "## Purpose" not in card and "Owner" not in card and "None are stated." in card


def test_every_table_row_of_the_markdown_card_has_its_columns(good: Evidence, tmp_path: Path) -> None:
    rule = None
    for line in write_card(good, tmp_path).read_text(encoding="utf-8").splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        rule = cells if cells is None or rule is None else rule
        assert cells == rule


def test_the_terminal_shows_outcome_verdict_candidates_and_slices(good: Evidence) -> None:
    console = Console(width=160, record=True, force_terminal=False, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        for part in run_tables(good):
            console.print(part)
    text = console.export_text()
    for words in ("Promoted", "Verdict", "passed", "trees ← challenger", "card precision at 20", "below 2000"):
        assert words in text


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_have_their_own_drawings(task: str, tmp_path: Path, good: Evidence) -> None:
    rows, random = sealed_rows(400), np.random.default_rng(0)
    classes = ["a", "b", "c"] if task == "multiclass" else []
    name = "accuracy" if task == "multiclass" else "mae"
    data = good.use_case.data.model_dump(mode="json") | {"labels": {"classes": classes}}
    changes: dict[str, Any] = {"training": {"metric": name, "candidates": [{"id": "constant", "kind": "constant"}]}}
    evaluation = {"bootstrap": {"resamples": 100, "cluster": "card"}, "slices": [{"column": "night"}]}
    case = use_case(task=task, data=data, gate={"metric": name}, evaluation=evaluation, **changes)
    if task == "multiclass":
        rows = rows.with_columns(label=pl.Series(random.integers(0, 3, 400).astype(float)))
        score = random.dirichlet(np.ones(3), 400)
        scores = rows.select("event_id", "label").with_columns(
            pl.Series(f"{who} {i}", score[:, i]) for who in ("challenger", "rung constant") for i in range(3)
        )
    else:
        rows = rows.with_columns(label=pl.col("amount"))
        noise = pl.Series(random.normal(0, 100, 400))
        scores = rows.select("event_id", "label", challenger=pl.col("amount") + noise).with_columns(
            pl.lit(5000.0).alias("rung constant")
        )
    found = replace(
        good,
        use_case=case,
        evaluations=evaluations_of(case, rows, scores, thresholds={}, seed=1),
        verdict={**good.verdict, "metric": name},
        candidates=[{**candidate("trees", "trees", 0.5), "metric": {"name": name, "validation": 0.5}}],
    )
    text = Page(write_report(found, tmp_path).read_text(encoding="utf-8")).text
    assert ("true and predicted class" if task == "multiclass" else "label minus score") in text
    card = write_card(found, tmp_path).read_text(encoding="utf-8")
    assert ("mean label" in card) == (task == "regression"), "the mean of class numbers says nothing"


def test_scores_of_another_seal_are_refused() -> None:
    rows = sealed_rows(100)
    scores = sealed_scores(rows, {"challenger": 1.0})
    with pytest.raises(DataError, match="50 of 100 sealed scores have no sealed row"):
        evaluations_of(use_case(), rows.head(50), scores, thresholds={}, seed=1)


def test_evaluations_follow_the_rows_whatever_their_order() -> None:
    case, rows = use_case(), sealed_rows(1500)
    scores = sealed_scores(rows, {"champion": 1.0, "challenger": 2.0})
    one = evaluations_of(case, rows, scores, thresholds={}, seed=1)
    other = evaluations_of(case, rows.reverse(), scores, thresholds={}, seed=1)
    assert one == other and list(one) == ["challenger", "champion"]
    assert one["challenger"]["slices"] and one["champion"]["days"]
    first = evaluations_of(case, rows, scores.rename({"champion": "rung logistic"}), thresholds={}, seed=1)
    assert first["rung logistic"]["slices"]
    assert evaluations_of(case, rows, None, thresholds={}, seed=1) == {}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (True, "yes"), (1234, "1,234"), (0.0, "0"), (0.7281, "0.728"), (0.0123, "0.0123"), (58.642, "58.6"),
     (1e-5, "1.00e-05"), (12345.6, "12,346"), (2e7, "2.00e+07"), ("text", "text")],
)  # fmt: skip
def test_numbers_are_shown_as_people_read_them(value: Any, shown: str) -> None:
    assert number(value) == shown


def test_markdown_text_stays_text() -> None:
    assert escape_markdown("a|b\n<i>[x](y)") == r"a\|b &lt;i&gt;\[x\](y)"


def test_templates_and_style_come_with_the_package() -> None:
    names = {path.name for path in (files("sluice.report") / "templates").iterdir()}
    assert {"report.html.j2", "card.html.j2", "card.md.j2", "style.css"} <= names
