"""Raw scans on disk: every pulse is a written frame or a stated loss, and a file is readable after any crash.

A scan is a segment: header, one record per frame, footer with the ledger of frames. `layout` has its bytes,
`convert` makes an OME-Zarr of it.
"""

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
