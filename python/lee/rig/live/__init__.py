"""The rig's page: it shows on localhost what the rig does, and starts and stops runs.

`session` is the rig at work, `server` what a browser talks to; what a person sees is `page.html` and what it
loads.
"""

from lee.rig.live.server import LiveServer
from lee.rig.live.session import Session

__all__ = ["LiveServer", "Session"]
