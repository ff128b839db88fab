"""The receiver of the payload ledger, and a sender that stands in for KServe's payload logger on one machine."""
