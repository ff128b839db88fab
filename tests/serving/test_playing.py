"""A day lived in batches through a real server: what it answers is what it answers one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from serving_world import ROOT, Deployed, Start, WorldTables

from sluice.features.online import OnlineFeatures
from sluice.features.schema import to_matrix
from sluice_serving.playing import play
from sluice_serving.replay import equal_bits


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_batches_see_what_single_questions_see(
    world: WorldTables, deployed: Deployed, start: Start, state: Path, share: float
) -> None:
    server = start(deployed, state)
    cards = world.day.get_column("card").unique().sort()
    asked = world.day.filter(pl.col("card").is_in(cards.head(round(share * len(cards))).implode()))
    said: list[dict[str, Any]] = []
    online = OnlineFeatures.open(world.use_case, state, deployed.schema, root=ROOT)
    played = play(
        world.use_case,
        server.address,
        world.day,
        world.day_labels,
        asked=asked.get_column("event_id").to_list(),
        online=online,
        most=20,
        heard=said.extend,
    )
    assert [one["event_id"] for one in said] == asked.get_column("event_id").to_list()
    assert played.asked == asked.height and played.updates == world.day.height + world.day_labels.height
    assert played.requests < played.asked, "some of them went together"
    features = np.array([[np.nan if v is None else v for v in one["features"]] for one in said], dtype=np.float32)
    expected = to_matrix(deployed.schema, world.rows.join(asked.select("event_id"), on="event_id", how="semi"))
    assert equal_bits(features, expected).all()
    assert not any(one["ahead"] or one["repeated"] for one in said)
