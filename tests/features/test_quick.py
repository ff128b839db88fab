"""What a process is like after `quick_feast`."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from sluice.features.quick import quick_feast
quick_feast()
import sys
import feast
from scipy import stats
from sklearn.metrics import roc_curve
import numpy as np
assert roc_curve([0, 1, 0, 1], np.array([0.1, 0.9, 0.3, 0.6]))[1][-1] == 1.0
assert "torch" not in sys.modules
try:
    import torch.nn
except ImportError as error:
    print(error)
"""


def test_feast_and_the_scientific_packages_work_without_torch() -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "hidden" in done.stdout
