"""Size and power of the ways to compare two scorers; docs/decisions/0006-gate.md shows what it printed.

    python -m tests.gate.size_and_power [worlds]

Rows sit on terminals of which few hold nearly all positives, as frauds do. `flat` shrinks the second scorer's log odds,
`sharp` stretches them: the order, hence average precision, stays. `edge` is the share of row noise the first lacks.
"""

from __future__ import annotations

import sys

import numpy as np
from rich import print as say
from rich.table import Table

from sluice.evaluation.bootstrap import paired_difference
from sluice.evaluation.context import Context
from sluice.gate import statistics
from sluice.gate.statistics import Measure, swap_test

ROWS, RESAMPLES, ALPHA = 5000, 300, 0.05
WORLDS = {"200 terminals, 8 hot": (200, 8), "200 terminals, 25 hot": (200, 25), "30 terminals, 3 hot": (30, 3)}
SCALES = {"alike": 1.0, "sharp": 3.0, "flat": 0.4}


def passes(seed: int, terminals: int, hot: int, edge: float, scale: float) -> tuple[bool, bool, bool]:
    """Whether the swap of scores, the swap of ranks and the bootstrap call the first scorer better."""
    random = np.random.default_rng(seed)
    terminal = random.integers(0, terminals, ROWS)
    of_hot = np.isin(terminal, random.choice(terminals, hot, replace=False))
    label = (random.random(ROWS) < np.where(of_hot, 0.6, 0.004)).astype(np.float64)

    def seen(noise: float) -> np.ndarray:
        found: np.ndarray = (
            1.5 * label + noise * random.normal(size=ROWS) + 0.7 * random.normal(size=terminals)[terminal]
        )
        found -= found.mean()
        found /= found.std()
        return found

    one, other = (1 / (1 + np.exp(4 - 1.2 * z)) for z in (seen(1 - edge), scale * seen(1.0)))
    cluster = np.unique(terminal, return_inverse=True)[1].astype(np.int64)
    measure = Measure("average_precision", "binary", label, cluster, Context())
    by_rank = swap_test(measure, one, other, resamples=RESAMPLES, seed=seed)
    ranked, statistics._OF_RANKS = statistics._OF_RANKS, ()  # type: ignore[assignment]
    by_score = swap_test(measure, one, other, resamples=RESAMPLES, seed=seed)
    statistics._OF_RANKS = ranked
    drawn = paired_difference(
        "average_precision", "binary", label, one, other, clusters=cluster, resamples=RESAMPLES, seed=seed
    )
    return by_score <= ALPHA, by_rank <= ALPHA, drawn.p_value <= ALPHA


def main(worlds: int) -> None:
    """Print the share of worlds in which each way says yes."""
    table = Table(title=f"called better at alpha {ALPHA}, {worlds} worlds of {ROWS} rows")
    for column in ("world", "edge", "second is", "swap of scores", "swap of ranks", "bootstrap", "ranks and bootstrap"):
        table.add_column(column)
    for edge in (0.0, 0.35):
        for name, (terminals, hot) in WORLDS.items():
            for scale, factor in SCALES.items():
                found = np.array([passes(1000 + i, terminals, hot, edge, factor) for i in range(worlds)])
                shares = [*found.mean(0), (found[:, 1] & found[:, 2]).mean()]
                table.add_row(name, f"{edge:g}", scale, *(f"{share:.3f}" for share in shares))
    say(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
