"""The endpoint's features and scores are the offline computation's, in order and in disorder."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from serving_world import ROOT, Deployed, Start, WorldTables

from sluice.features.online import OnlineFeatures
from sluice_serving.lagging import lagging, lagging_rows
from sluice_serving.replay import replay


def test_a_day_in_order_equals_history(world: WorldTables, deployed: Deployed, state: Path, start: Start) -> None:
    server = start(deployed, state)
    online = OnlineFeatures.open(world.use_case, state, deployed.schema, root=ROOT)

    found = replay(
        world.use_case,
        server.address,
        world.day,
        world.day_labels,
        rows=world.rows,
        online=online,
        schema=deployed.schema,
        graph=deployed.graph,
    )

    assert found.differences == []
    assert (found.features_equal, found.scores_equal) == (1.0, 1.0)
    assert found.requests == world.day.height > 50
    assert found.flags["ahead"] == found.flags["repeated"] == 0


def test_lagging_shuffled_concurrent_updates_equal_what_had_arrived(
    world: WorldTables, deployed: Deployed, state: Path, start: Start
) -> None:
    day = lagging(world.day, timedelta(hours=3), seed=5)
    rows = lagging_rows(world.use_case, world.before()[0], day, world.labels, root=ROOT)
    server = start(deployed, state)
    updaters = [OnlineFeatures.open(world.use_case, state, deployed.schema, root=ROOT) for _ in range(3)]

    found = replay(
        world.use_case,
        server.address,
        day,
        world.day_labels,
        rows=rows,
        online=updaters,
        schema=deployed.schema,
        graph=deployed.graph,
        batch=8,
        seed=1,
    )

    assert found.differences == []
    assert (found.features_equal, found.scores_equal) == (1.0, 1.0)
    assert not rows.equals(world.rows), "the lag changed nothing: the test shows nothing"
