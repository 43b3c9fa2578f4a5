"""The server behind the rig's page: plain HTTP, on this computer alone unless a token is required."""

from __future__ import annotations

import errno
import json
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from urllib.parse import parse_qs

from lee.errors import InputError, LeeError
from lee.rig.live.access import Access, addresses
from lee.rig.live.actions import ACTIONS, act
from lee.rig.live.connections import Connections, Guesses
from lee.rig.live.request_limits import LimitedReader, RequestTooLongError
from lee.rig.live.session import Session

_PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
    "/request.js": ("request.js", "text/javascript; charset=utf-8"),
    "/setup.js": ("setup.js", "text/javascript; charset=utf-8"),
    "/relief.js": ("relief.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_PICTURES = {
    "/frame.jpg": ("frame", "image/jpeg"),
    "/frame-contrast.jpg": ("frame-contrast", "image/jpeg"),
    "/height.png": ("height", "image/png"),
    "/rate.png": ("rate", "image/png"),
    "/relief.bin": ("relief", "application/octet-stream"),
    "/curves": ("curves", "application/json"),
}
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
# Seconds within which a request must have arrived completely.
_REQUEST_S = 15.0


Request = socket.socket | tuple[bytes, socket.socket]
Address = tuple[str, int]


class LiveServer(ThreadingHTTPServer):
    """Serves the page of a session.

    The port is bound at construction, so that an error is reported before a device is touched. The server
    answers once `begin` has given it a session.

    Parameters
    ----------
    host : str
    port : int
        0 takes a free one.
    token : str, optional
        See `Access`.

    Raises
    ------
    InputError
        If the server cannot listen on the address: it is in use, not this computer's, or needs a token.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, host: str = "127.0.0.1", port: int = 8765, token: str | None = None) -> None:
        self.access = Access(host, token)
        self.address_family, address = addresses(host)[0]
        self.connections, self.guesses = Connections(), Guesses()
        self.session: Session | None = None
        self.ended = False
        self._host = host
        try:
            super().__init__((address, port), _Answer)
        except (OSError, OverflowError) as error:
            raise InputError(_message(error, host, port)) from error

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Address of the page for a browser on this computer."""
        host = self._host if self._host not in ("0.0.0.0", "::") else socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def begin(self, session: Session) -> None:
        """Answer from now on, on a thread of its own."""
        self.session = session
        threading.Thread(target=self.serve_forever, name="lee-page", daemon=True).start()

    def end(self) -> None:
        """Stop answering and release the port."""
        self.ended = True
        if self.session is not None:
            self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without asking the network for this computer's name, as the base class does."""
        # On Windows SO_REUSEADDR would share the port with whoever has it.
        option: int = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        self.socket.setsockopt(socket.SOL_SOCKET, option, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Request, client_address: Address) -> None:
        """Answer on a thread of its own."""
        assert isinstance(request, socket.socket)
        self.connections.open(request, client_address[0])
        super().process_request(request, client_address)

    def process_request_thread(self, request: Request, client_address: Address) -> None:
        """Answer, then count the connection as closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            assert isinstance(request, socket.socket)
            self.connections.close(request)

    def handle_error(self, request: Request, client_address: Address) -> None:
        """Report in one line what failed, unless the client has just disconnected."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError, RequestTooLongError)):
            print(f"lee: warning: the page failed: {type(error).__name__}: {error}", file=sys.stderr)


class _Answer(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lee", ""
    # Needed to answer a request that cannot be read.
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
        except RequestTooLongError:
            self.close_connection = True
            self._answer_text(431, "the request is too long")
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._guarded(self._get)

    def do_POST(self) -> None:
        self._guarded(self._post)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the base class refuses; its own page would repeat what was sent."""
        self.close_connection = True
        self._answer_text(
            code, "this method is not supported" if code == 501 else "the request cannot be understood"
        )

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the terminal shows what the rig does."""

    def _guarded(self, answer: Callable[[], None]) -> None:
        if self.server.ended:  # a connection that was kept open
            self.close_connection = True
            return
        try:
            if not self.server.access.host_is_ours(self.headers.get("Host")):
                self._refuse(421, "this is not the rig's name; open the address that lee rig live printed")
            elif self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding"):
                self._refuse(413, "requests must have no content")
            else:
                answer()
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            print(f"lee: warning: the page failed: {type(error).__name__}: {error}", file=sys.stderr)
            self._refuse(500, "this failed; see the terminal of lee rig live")

    def _get(self) -> None:
        path, _, query = self.path.partition("?")
        access = self.server.access
        if access.needs_token:
            given = parse_qs(query).get("token", [""])[0]
            if path == "/" and given:
                if not self._may_guess():
                    return
                if access.token_fits(given):
                    cookie = {"Location": "/", "Set-Cookie": access.cookie(self.server.port)}
                    self._answer_text(303, "welcome", cookie)
                else:
                    self.server.guesses.add(self.client_address[0])
                    self._refuse(401, "wrong token")
                return
            if not self._may_enter():
                return
        self.server.connections.permit(self.connection)
        if path in _PAGE:
            name, kind = _PAGE[path]
            self._send(200, (files("lee.rig.live") / name).read_bytes(), kind)
        elif path == "/state":
            state = json.dumps(self._session().state(), allow_nan=False).encode()
            self._send(200, state, "application/json")
        elif path in _PICTURES:
            name, kind = _PICTURES[path]
            body = self._session().picture(name)
            self._send(200, body, kind) if body is not None else self._answer_text(404, "there is none yet")
        elif path in ACTIONS:
            self._answer_text(405, "use POST for this", {"Allow": "POST"})
        else:
            self._answer_text(404, "there is nothing here")

    def _post(self) -> None:
        access, headers = self.server.access, self.headers
        if access.needs_token and not self._may_enter():
            return
        bearer = access.bears_token(headers.get("Authorization"))
        if not bearer and not access.origin_is_ours(headers.get("Origin"), headers.get("Host")):
            self._refuse(403, "only the rig's own page may do this")
            return
        path, _, query = self.path.partition("?")
        if path not in ACTIONS:
            self._answer_text(404, "there is nothing here")
            return
        self.server.connections.permit(self.connection)
        with self.server.connections.controlling(self.connection):
            self._act(path, query)

    def _act(self, path: str, query: str) -> None:
        try:
            act(self._session(), path, query)
        except LeeError as error:
            self._answer_text(409, str(error))
            return
        self._answer_text(200, "done")

    def _session(self) -> Session:
        assert self.server.session is not None
        return self.server.session

    def _may_enter(self) -> bool:
        access, headers = self.server.access, self.headers
        if access.has_pass(headers.get("Cookie"), self.server.port):
            return True
        given = headers.get("Authorization")
        if given is not None:
            if not self._may_guess():
                return False
            if access.bears_token(given):
                return True
            self.server.guesses.add(self.client_address[0])
        self._refuse(401, "a token is needed: open the page once with ?token=... after its address")
        return False

    def _may_guess(self) -> bool:
        if self.server.guesses.too_many(self.client_address[0]):
            self._refuse(429, "too many wrong tokens from this address; wait a minute")
            return False
        return True

    def _refuse(self, code: int, message: str) -> None:
        self.close_connection = True
        self._answer_text(code, message, {"Connection": "close"})

    def _answer_text(self, code: int, message: str, more: dict[str, str] | None = None) -> None:
        self._send(code, f"{message}\n".encode(), "text/plain; charset=utf-8", more)

    def _send(self, code: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.request_version = "HTTP/1.1"  # else one that states none would get no headers
        self.send_response(code)
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.connection.settimeout(_REQUEST_S)
        self.wfile.write(body)


def _message(error: Exception, host: str, port: int) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"live: port {port} of {host} is in use; stop what uses it, or give another --port"
    if number == errno.EADDRNOTAVAIL:
        return f"live: {host} is not an address of this computer; give one of its own, or omit --host"
    if number == errno.EACCES:
        return f"live: port {port} needs administrator rights; give a --port above 1023"
    return f"live: cannot listen on port {port} of {host} ({error}); give another --port"
