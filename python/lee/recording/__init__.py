"""Recording of raw scans that loses nothing and stays readable whatever happens."""

from lee.recording.header import SegmentHeader
from lee.recording.ledger import Account, Hole, Ledger, account
from lee.recording.segment import RecordingFailed, SegmentWriter
from lee.recording.segment_reader import SegmentReader

__all__ = [
    "Account",
    "Hole",
    "Ledger",
    "RecordingFailed",
    "SegmentHeader",
    "SegmentReader",
    "SegmentWriter",
    "account",
]
