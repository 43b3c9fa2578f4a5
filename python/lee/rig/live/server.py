"""The server behind the rig's page: plain HTTP, on this computer alone unless a token is asked for."""

from __future__ import annotations

import errno
import json
import socket
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from lee.errors import InputError
from lee.rig.live.access import Access, addresses
from lee.rig.live.request_limits import LimitedReader, TooMuch
from lee.rig.live.session import Session

_PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/relief.js": ("relief.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_PICTURES = {
    "/frame.jpg": ("frame", "image/jpeg"),
    "/height.png": ("height", "image/png"),
    "/rate.png": ("rate", "image/png"),
    "/relief.bin": ("relief", "application/octet-stream"),
    "/curves": ("curves", "application/json"),
}
_ACTIONS = ("/start", "/stop", "/abort")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Connections at once, in all and from one address: a browser opens up to six.
_MOST_CLIENTS, _MOST_EACH = 96, 24
# A request must have arrived whole so long after the one before, s.
_REQUEST_S = 15.0


class LiveServer(ThreadingHTTPServer):
    """Serves the page of a session.

    The port is taken when it is made, so that what is wrong with it is known before a device is touched; it
    answers once `begin` has given it a session.

    Parameters
    ----------
    host : str
    port : int
        0 takes one that is free.
    token : str, optional
        See `Access`.

    Raises
    ------
    InputError
        If the address cannot be listened on: it is in use, not this computer's, or needs a token.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, host: str = "127.0.0.1", port: int = 8765, token: str | None = None) -> None:
        self.access = Access(host, token)
        self.address_family, address = addresses(host)[0]
        self._clients: Counter[str] = Counter()
        self._counting = threading.Lock()
        self.session: Session | None = None
        self.ended = False
        self._host = host
        try:
            super().__init__((address, port), _Answer)
        except (OSError, OverflowError) as error:
            raise InputError(_said(error, host, port)) from error

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where the page is for a browser on this computer."""
        host = self._host if self._host not in ("0.0.0.0", "::") else socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def begin(self, session: Session) -> None:
        """Answer from now on, on a thread of its own."""
        self.session = session
        threading.Thread(target=self.serve_forever, name="lee-page", daemon=True).start()

    def end(self) -> None:
        """Answer no more, and let go of the port."""
        self.ended = True
        if self.session is not None:
            self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without asking the network for this computer's name, as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own; one connection too many is closed unheard."""
        with self._counting:
            full = self._clients.total() >= _MOST_CLIENTS or self._clients[client_address[0]] >= _MOST_EACH
            if not full:
                self._clients[client_address[0]] += 1
        if full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and count the connection as closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._counting:
                self._clients[client_address[0]] -= 1
                self._clients += Counter()  # forget who is gone

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what failed, unless the client has just gone."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError, TooMuch)):
            print(f"lee: warning: the page failed: {type(error).__name__}: {error}", file=sys.stderr)


class _Answer(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lee", ""
    # What an answer to a request that cannot be read needs.
    requestline, request_version, command = "", "HTTP/1.1", ""
    server: LiveServer

    def setup(self) -> None:
        super().setup()
        self._reader = LimitedReader(self.connection)
        self.rfile = self._reader.buffered()

    def handle_one_request(self) -> None:
        self._reader.begin_request(_REQUEST_S)
        try:
            super().handle_one_request()
        except TooMuch:
            self.close_connection = True
            self._tell(431, "the request is too long")
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._guarded(self._get)

    def do_POST(self) -> None:
        self._guarded(self._post)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Tell what the base class refuses; its own page would repeat what was sent."""
        self.close_connection = True
        self._tell(code, "this cannot be asked here" if code == 501 else "the request cannot be understood")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Stay silent: the terminal tells what the rig does."""

    def _guarded(self, answer: Any) -> None:
        if self.server.ended:  # a connection that was kept
            self.close_connection = True
            return
        try:
            if not self.server.access.host_is_ours(self.headers.get("Host")):
                self._refuse(421, "this name is not the rig's; open the address that lee rig live printed")
            elif self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding"):
                self._refuse(413, "requests bring no content here")
            else:
                answer()
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            print(f"lee: warning: the page failed: {type(error).__name__}: {error}", file=sys.stderr)
            self._refuse(500, "this failed; the terminal of lee rig live tells more")

    def _get(self) -> None:
        path, _, query = self.path.partition("?")
        access = self.server.access
        if access.needs_token:
            given = parse_qs(query).get("token", [""])[0]
            if path == "/" and given:
                if access.token_fits(given):
                    cookie = {"Location": "/", "Set-Cookie": access.cookie(self.server.port)}
                    self._tell(303, "come in", cookie)
                else:
                    self._refuse(401, "this is not the token")
                return
            if not self._may_enter():
                return
        if path in _PAGE:
            name, kind = _PAGE[path]
            self._send(200, (files("lee.rig.live") / name).read_bytes(), kind)
        elif path == "/state":
            state = json.dumps(self._session().state(), allow_nan=False).encode()
            self._send(200, state, "application/json")
        elif path in _PICTURES:
            name, kind = _PICTURES[path]
            body = self._session().picture(name)
            self._send(200, body, kind) if body is not None else self._tell(404, "there is none yet")
        elif path in _ACTIONS:
            self._tell(405, "this is asked with POST", {"Allow": "POST"})
        else:
            self._tell(404, "there is nothing here")

    def _post(self) -> None:
        access, headers = self.server.access, self.headers
        if access.needs_token and not self._may_enter():
            return
        bearer = access.bears_token(headers.get("Authorization"))
        if not bearer and not access.origin_is_ours(headers.get("Origin"), headers.get("Host")):
            self._refuse(403, "only the rig's own page may ask this")
            return
        if self.path not in _ACTIONS:
            self._tell(404, "there is nothing here")
            return
        try:
            {"/start": self._session().start, "/stop": self._session().stop, "/abort": self._session().abort}[
                self.path
            ]()
        except InputError as error:
            self._tell(409, str(error))
            return
        self._tell(200, "done")

    def _session(self) -> Session:
        assert self.server.session is not None
        return self.server.session

    def _may_enter(self) -> bool:
        access, headers = self.server.access, self.headers
        if access.bears_token(headers.get("Authorization")) or access.has_pass(
            headers.get("Cookie"), self.server.port
        ):
            return True
        self._refuse(401, "a token is needed: open the page once with ?token=... after its address")
        return False

    def _refuse(self, code: int, said: str) -> None:
        self.close_connection = True
        self._tell(code, said, {"Connection": "close"})

    def _tell(self, code: int, said: str, more: dict[str, str] | None = None) -> None:
        self._send(code, f"{said}\n".encode(), "text/plain; charset=utf-8", more)

    def _send(self, code: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.connection.settimeout(_REQUEST_S)
        self.wfile.write(body)


def _said(error: Exception, host: str, port: int) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"live: port {port} of {host} is in use; end what uses it, or give another --port"
    if number == errno.EADDRNOTAVAIL:
        return f"live: {host} is no address of this computer; give one of its own, or leave --host out"
    if number == errno.EACCES:
        return f"live: port {port} needs the rights of the system's administrator; give a --port above 1023"
    return f"live: port {port} of {host} cannot be listened on ({error}); give another --port"
