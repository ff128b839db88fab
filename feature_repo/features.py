"""What is known of a card and of a terminal when a transaction is scored.

Cards hold at most some hundred transactions a month, so their windows are exact. A terminal may see thousands a day:
one-hour tiles keep its state at 720 tiles a stream, whatever its traffic. Risk is the mean of the labels that have
arrived: a window over the label stream, so that no label is used before it was known.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FileSource, PushSource, StreamFeatureView
from feast.aggregation import Aggregation
from feast.value_type import ValueType

from sluice.features.state import state_view, watermark_view, window_fields
from sluice.windows.definition import EXACT

HOUR = timedelta(hours=1)
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


def over_days(column: str, function: str, name: str, hop: timedelta) -> list[Aggregation]:
    return [
        Aggregation(column=column, function=function, time_window=window, slide_interval=hop, name=f"{name}_{days}")
        for days, window in DAYS.items()
    ]


card_windows = [
    *over_days("event_id", "count", "card_count", EXACT),
    *over_days("amount", "mean", "card_amount_mean", EXACT),
]
terminal_windows = over_days("event_id", "count", "terminal_count", HOUR)
terminal_risk_windows = over_days("label", "mean", "terminal_risk", HOUR)

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
    source=event_stream,
    timestamp_field="event_time",
    aggregations=terminal_windows,
    schema=window_fields(terminal_id, terminal_windows),
    online=False,
    tags={"stream": "events"},
)
terminal_risk = StreamFeatureView(
    name="terminal_risk",
    entities=[terminal_id],
    source=label_stream,
    timestamp_field="label_time",
    aggregations=terminal_risk_windows,
    schema=window_fields(terminal_id, terminal_risk_windows),
    online=False,
    tags={"stream": "labels"},
)

# What is online: the tiles that those windows are answered from, and how far the updater has come.
card_state = state_view(card, card_id)
terminal_state = state_view(terminal, terminal_id)
terminal_risk_state = state_view(terminal_risk, terminal_id)
stream, streams_state = watermark_view()

fraud_v1 = FeatureService(name="fraud_v1", features=[card, terminal, terminal_risk])
