"""What is known of a driver when a ride starts: how far and how long the rides before it were."""

from datetime import timedelta

from feast import Entity, FeatureService, FileSource, PushSource, StreamFeatureView
from feast.aggregation import Aggregation
from feast.value_type import ValueType

from sluice.features.state import state_view, watermark_view, window_fields
from sluice.windows.definition import EXACT

WEEK = timedelta(days=7)

driver = Entity(name="driver", join_keys=["driver"], value_type=ValueType.STRING)
events = FileSource(
    name="events", path="data/events.parquet", timestamp_field="event_time", created_timestamp_column="arrival"
)
labels = FileSource(name="labels", path="data/labels.parquet", timestamp_field="label_time")


def over_a_week(column: str, function: str, name: str) -> Aggregation:
    return Aggregation(column=column, function=function, time_window=WEEK, slide_interval=EXACT, name=name)


ridden = [
    over_a_week("event_id", "count", "driver_rides_7d"),
    over_a_week("distance", "mean", "driver_distance_mean_7d"),
    over_a_week("distance", "std", "driver_distance_std_7d"),
    over_a_week("event_id", "time_since_last", "driver_since_last"),
]
lasted = [over_a_week("label", "mean", "driver_lasted_mean_7d")]

driver_rides = StreamFeatureView(
    name="driver_rides",
    entities=[driver],
    source=PushSource(name="event_stream", batch_source=events),
    timestamp_field="event_time",
    aggregations=ridden,
    schema=window_fields(driver, ridden),
    online=False,
    tags={"stream": "events"},
)
driver_lasted = StreamFeatureView(
    name="driver_lasted",
    entities=[driver],
    source=PushSource(name="label_stream", batch_source=labels),
    timestamp_field="label_time",
    aggregations=lasted,
    schema=window_fields(driver, lasted),
    online=False,
    tags={"stream": "labels"},
)
driver_rides_state = state_view(driver_rides, driver)
driver_lasted_state = state_view(driver_lasted, driver)
stream, streams_state = watermark_view()

rides_v1 = FeatureService(name="rides_v1", features=[driver_rides, driver_lasted])
