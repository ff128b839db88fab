"""A model server with a fault that is injected for tests: `python faulty.py`, then the arguments of the server.

Faults lie in `faults.json` beside this file, by the version's digest; what is not named there has none. Every version
takes `base` seconds longer than it would, so that "five times slower" stands out from what else the machine does.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

TOLD = json.loads((Path(__file__).parent / "faults.json").read_text())
FAULT: dict[str, float] = TOLD["faults"].get(os.environ["SLUICE_VERSION"], {})


def main() -> int:
    """The server of production with its predictor wrapped."""
    # KServe reads the command line when it is imported.
    words, sys.argv = sys.argv[1:], sys.argv[:1]
    from sluice_serving.__main__ import main as serve
    from sluice_serving.model import SluiceModel

    predict, score = SluiceModel.predict, SluiceModel._score_now

    async def faulty_predict(self: Any, payload: Any, *others: Any, **named: Any) -> Any:
        await asyncio.sleep(TOLD["base"] * FAULT.get("slower", 1.0) + FAULT.get("hanging", 0.0))
        if random.random() < FAULT.get("failing", 0.0):
            raise RuntimeError("injected for a test")
        return await predict(self, payload, *others, **named)

    def faulty_score(self: Any, requests: Any) -> Any:
        scored = score(self, requests)
        return replace(scored, scores=scored.scores * (1 - FAULT.get("shifted", 0.0)))

    SluiceModel.predict, SluiceModel._score_now = faulty_predict, faulty_score  # type: ignore[method-assign]
    return serve(words)


if __name__ == "__main__":
    sys.exit(main())
