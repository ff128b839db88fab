"""The payload ledger: every answer of an endpoint, with the features that were used, as Parquet in the store.

    payloads/<model>/responses/<version>/<day>/…   one row a prediction
    payloads/<model>/requests/any/<day>/…          one row a request: a request's body does not name a version

The receiver (`sluice_serving.payloads`) writes; this package says what the files hold, reads them, and keeps them few.
"""

from sluice.ledger.layout import Partition, partitions
from sluice.ledger.reading import Answers, answers
from sluice.ledger.rewriting import Compacted, compact, expire, forget_events

__all__ = ["Answers", "Compacted", "Partition", "answers", "compact", "expire", "forget_events", "partitions"]
