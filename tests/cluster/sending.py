"""Requests at a steady rate, a line an answer: `python sending.py URL RATE ROWS.json`, until told to stop.

It runs inside the cluster's network, beside the gateway's clients. Whether the answers keep up or not, the rate stays.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp


async def main(url: str, rate: float, rows: list[dict[str, Any]]) -> None:
    """Send until SIGTERM, then wait for what is in flight."""
    over, pending = asyncio.Event(), set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    limits = {"timeout": aiohttp.ClientTimeout(30), "connector": aiohttp.TCPConnector(limit=400)}
    async with aiohttp.ClientSession(**limits) as client:
        begun = time.monotonic()
        number = 0
        while not over.is_set():
            body = json.dumps({"instances": [{**rows[number % len(rows)], "event_id": str(10**9 + number)}]})
            task = asyncio.create_task(send(client, url, body))
            pending.add(task)
            task.add_done_callback(pending.discard)
            number += 1
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        await asyncio.gather(*pending)


async def send(client: aiohttp.ClientSession, url: str, body: str) -> None:
    """One request; a line of when it was sent, its status (0: no answer), who answered, and how long it took."""
    sent, status, version = time.time(), 0, ""
    try:
        async with client.post(url, data=body, headers={"content-type": "application/json"}) as answer:
            status = answer.status
            version = (await answer.json(content_type=None) or {}).get("model_version", "")
    except (aiohttp.ClientError, TimeoutError, ValueError):
        pass
    line = {"sent": sent, "status": status, "version": version, "seconds": time.time() - sent}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())))
