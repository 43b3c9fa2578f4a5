"""Who may see and control the rig: users of this computer, or those who have the token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie

from lee.errors import InputError

MIN_TOKEN_LENGTH = 16


class Access:
    """What a request must bring.

    A page of another site that a user visits can reach this server too: under its own name, resolved to this
    address (``Host`` shows it), or by sending a form (``Origin`` shows it).

    Parameters
    ----------
    host : str
        Address or name to listen on.
    token : str, optional
        Required of everybody. Without it the server listens on this computer only.

    Raises
    ------
    InputError
        If the address is not this computer's own and there is no token, or the token is too short.
    """

    def __init__(self, host: str, token: str | None = None) -> None:
        if token is None and not is_loopback(host):
            raise InputError(
                f"live: others can reach {host} and could move the stage; give a --token of "
                f"{MIN_TOKEN_LENGTH} characters or more, or omit --host"
            )
        if token is not None and not (len(token) >= MIN_TOKEN_LENGTH and token.isascii() and token.isalnum()):
            raise InputError(f"live: the token must be {MIN_TOKEN_LENGTH} or more letters and digits")
        own = socket.gethostname().lower()
        self._names = {"localhost", host.lower().strip("[]"), own, f"{own}.local"}
        self._token = token
        # A browser keeps this in place of the token.
        self._pass = secrets.token_urlsafe(32)

    @property
    def needs_token(self) -> bool:
        """Whether a token is required."""
        return self._token is not None

    def host_is_ours(self, host: str | None) -> bool:
        """Whether ``Host`` is an address, or a name of this computer; no other site's name can be."""
        name = _name_of(host or "")
        return name in self._names or _is_address(name)

    def origin_is_ours(self, origin: str | None, host: str | None) -> bool:
        """Whether ``Origin`` is the page that this server served."""
        return origin is not None and origin.lower() == f"http://{(host or '').lower()}"

    def token_fits(self, given: str) -> bool:
        """Compare in a time that does not depend on the token."""
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    def bears_token(self, authorization: str | None) -> bool:
        """Whether ``Authorization`` brings the token."""
        kind, _, given = (authorization or "").partition(" ")
        return kind.lower() == "bearer" and self.token_fits(given.strip())

    def has_pass(self, cookies: str | None, port: int) -> bool:
        """Whether the cookie of `cookie` came back."""
        try:
            held = SimpleCookie(cookies or "").get(_cookie_name(port))
        except CookieError:
            return False
        return held is not None and hmac.compare_digest(held.value.encode(), self._pass.encode())

    def cookie(self, port: int) -> str:
        """``Set-Cookie`` for a browser that brought the token."""
        return f"{_cookie_name(port)}={self._pass}; HttpOnly; SameSite=Strict; Path=/"


def is_loopback(host: str) -> bool:
    """Whether an address, or every address of a name, is this computer's own.

    Raises
    ------
    InputError
        If the name has no address.
    """
    return all(ipaddress.ip_address(address).is_loopback for _, address in addresses(host))


def addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Return the addresses of a name, or the address itself."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"live: --host {host} is not an address of this computer ({error}); give one that is, "
            "or omit --host"
        ) from error
    return [(family, str(address[0]).partition("%")[0]) for family, _, _, _, address in found]


def _name_of(host: str) -> str:
    """Return a host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookie_name(port: int) -> str:
    # Cookies ignore the port: two rigs on one computer must not share one.
    return f"lee_live_{port}"
