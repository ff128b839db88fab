"""The twelve windows as the Fraud Detection Handbook defines them (chapter 3, "Baseline feature transformation").

They differ from feature_repo/ in two ways. All are exact, where feature_repo/ has one-hour tiles for terminals. And a
terminal's count is of transactions whose label is known, seven days late, as its risk is: the handbook counts both
in the same window. Here that is a window over the label stream, which holds a label for every transaction.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FileSource, PushSource, StreamFeatureView
from feast.aggregation import Aggregation
from feast.value_type import ValueType

from sluice.features.state import window_fields
from sluice.windows.definition import EXACT

DAYS = {f"{n}d": timedelta(days=n) for n in (1, 7, 30)}

card_id = Entity(name="card", join_keys=["card"], value_type=ValueType.STRING)
terminal_id = Entity(name="terminal", join_keys=["terminal"], value_type=ValueType.STRING)

events = FileSource(
    name="events",
    path="data/events.parquet",
    timestamp_field="event_time",
    created_timestamp_column="arrival",
)
labels = FileSource(name="labels", path="data/labels.parquet", timestamp_field="label_time")
event_stream = PushSource(name="event_stream", batch_source=events)
label_stream = PushSource(name="label_stream", batch_source=labels)


def over_days(column: str, function: str, name: str) -> list[Aggregation]:
    return [
        Aggregation(column=column, function=function, time_window=window, slide_interval=EXACT, name=f"{name}_{days}")
        for days, window in DAYS.items()
    ]


card_windows = [*over_days("event_id", "count", "card_count"), *over_days("amount", "mean", "card_amount_mean")]
terminal_windows = [
    *over_days("label", "count", "terminal_known_count"),
    *over_days("label", "mean", "terminal_known_risk"),
]

card = StreamFeatureView(
    name="card",
    entities=[card_id],
    source=event_stream,
    timestamp_field="event_time",
    aggregations=card_windows,
    schema=window_fields(card_id, card_windows),
    online=False,
    tags={"stream": "events"},
)
terminal = StreamFeatureView(
    name="terminal",
    entities=[terminal_id],
    source=label_stream,
    timestamp_field="label_time",
    aggregations=terminal_windows,
    schema=window_fields(terminal_id, terminal_windows),
    online=False,
    tags={"stream": "labels"},
)

handbook_v1 = FeatureService(name="handbook_v1", features=[card, terminal])
