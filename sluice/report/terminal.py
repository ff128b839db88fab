"""Tables for the terminal: the verdict, the candidates, the contenders, the slices."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from sluice.report.evidence import Evidence
from sluice.report.view import facts_of
from sluice.report.words import outcome

_STYLES = {"good": "bold green", "bad": "bold red", "wait": "bold yellow"}


def run_tables(evidence: Evidence) -> list[Table | Text]:
    """What a finished run prints, in order: outcome, verdict, candidates, contenders' metrics, slices."""
    tables = [verdict_table(evidence), candidates_table(evidence)]
    if evidence.challenger is not None:
        tables += [metrics_table(evidence), slices_table(evidence)]
    return [outcome_text(evidence), *(table for table in tables if table.row_count)]


def outcome_text(evidence: Evidence) -> Text:
    """What was decided, and why."""
    word, kind = outcome(evidence)
    facts = facts_of(evidence)
    return Text.assemble((word, _STYLES[kind]), "\n", "\n".join(facts["outcome"]["sentences"]))


def verdict_table(evidence: Evidence) -> Table:
    """One line a check."""
    table = _table("Verdict", "check", "result", "what was found", "threshold")
    for check in facts_of(evidence)["checks"]:
        name = f"{check['name']}\n{check['against']}" if check["against"] else check["name"]
        mark = Text("passed", "green") if check["passed"] else Text("refused", "bold red")
        table.add_row(Text(name), mark, Text(check["text"]), check["threshold"])
    return table


def candidates_table(evidence: Evidence) -> Table:
    """One line a candidate, the chosen one marked."""
    facts = facts_of(evidence)
    metric = facts["candidates"][0]["metric"] if facts["candidates"] else "metric"
    table = _table("Candidates on validation", "candidate", "kind", metric, "seconds", "rows/s")
    for c in facts["candidates"]:
        style = "bold" if c["chosen"] else None
        table.add_row(
            Text(c["id"] + (" ← challenger" if c["chosen"] else "")),
            Text(c["kind"]),
            c["validation"],
            c["seconds"],
            c["speed"],
            style=style,
        )
    return table


def metrics_table(evidence: Evidence) -> Table:
    """One line a metric, a column a contender, with intervals."""
    metrics = facts_of(evidence)["metrics"]
    table = _table("On the sealed test", "metric", *metrics["contenders"])
    for row in metrics["rows"]:
        table.add_row(Text(row["name"]), *row["cells"])
    return table


def slices_table(evidence: Evidence) -> Table:
    """One line a slice, the challenger beside its rival."""
    facts = facts_of(evidence)
    table = _table(f"{facts['slice_metric']} by slice", "slice", "value", "rows", "challenger", evidence.rival or "")
    for part in facts["slices"]:
        table.add_row(Text(part["column"]), Text(part["value"]), part["rows"], part["challenger"], part["rival"])
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=Text(title), title_justify="left", header_style="dim")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    return table
