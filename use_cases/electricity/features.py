"""What is known of the market at the start of a half hour.

The class says whether the price lies above its mean over the last 24 hours. That very mean is left out: with it the
label would be computed, not learned. What was the class half an hour ago is known by now (a label is 30 minutes
late), so it comes from the label stream; the shorter means say where price and demand are going.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FileSource, PushSource, StreamFeatureView
from feast.aggregation import Aggregation
from feast.value_type import ValueType

from sluice.features.state import state_view, watermark_view, window_fields
from sluice.windows.definition import EXACT

HALF_HOURS = {"30m": 1, "1h": 2, "3h": 6, "24h": 48}

market = Entity(name="market", join_keys=["market"], value_type=ValueType.STRING)

events = FileSource(
    name="events",
    path="data/events.parquet",
    timestamp_field="event_time",
    created_timestamp_column="arrival",
)
labels = FileSource(name="labels", path="data/labels.parquet", timestamp_field="label_time")


def means(column: str, *windows: str) -> list[Aggregation]:
    return [
        Aggregation(
            column=column,
            function="mean",
            time_window=timedelta(minutes=30) * HALF_HOURS[window],
            slide_interval=EXACT,
            name=f"{'class' if column == 'label' else column}_mean_{window}",
        )
        for window in windows
    ]


class_windows = means("label", "30m", "3h", "24h")
market_windows = [*means("price", "1h", "3h"), *means("demand", "1h", "3h")]

market_class = StreamFeatureView(
    name="market_class",
    entities=[market],
    source=PushSource(name="label_stream", batch_source=labels),
    timestamp_field="label_time",
    aggregations=class_windows,
    schema=window_fields(market, class_windows),
    online=False,
    tags={"stream": "labels"},
)
market_now = StreamFeatureView(
    name="market",
    entities=[market],
    source=PushSource(name="event_stream", batch_source=events),
    timestamp_field="event_time",
    aggregations=market_windows,
    schema=window_fields(market, market_windows),
    online=False,
    tags={"stream": "events"},
)

market_class_state = state_view(market_class, market)
market_state = state_view(market_now, market)
stream, streams_state = watermark_view()

electricity_v1 = FeatureService(name="electricity_v1", features=[market_class, market_now])
