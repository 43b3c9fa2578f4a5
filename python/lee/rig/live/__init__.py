"""The rig's page: it shows on localhost what the rig does, and starts and stops runs.

`session` holds the rig and its runs, `server` answers the browser. `page.html` and the scripts that it loads
are what the user sees.
"""

from lee.rig.live.server import LiveServer
from lee.rig.live.session import Session

__all__ = ["LiveServer", "Session"]
