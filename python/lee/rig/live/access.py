"""Who may see and steer the rig: whoever is on this computer, or whoever has the token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie

from lee.errors import InputError

LEAST_TOKEN = 16


class Access:
    """What a request must bring.

    A page of another site that a person visits reaches this server, too: by its own name turned to this
    address (the name in ``Host`` tells), or by sending a form (``Origin`` tells).

    Parameters
    ----------
    host : str
        Address or name that is listened on.
    token : str, optional
        Asked of everybody; without it only this computer may be listened on.

    Raises
    ------
    InputError
        If the address is not this computer's own and there is no token, or the token is too short.
    """

    def __init__(self, host: str, token: str | None = None) -> None:
        if token is None and not is_loopback(host):
            raise InputError(
                f"live: {host} can be reached by others, who could move the stage; give a --token of "
                f"{LEAST_TOKEN} characters or more, or leave --host out"
            )
        if token is not None and not (len(token) >= LEAST_TOKEN and token.isascii() and token.isalnum()):
            raise InputError(f"live: the token must be {LEAST_TOKEN} or more letters and digits, no fewer")
        own = socket.gethostname().lower()
        self._names = {"localhost", host.lower().strip("[]"), own, f"{own}.local"}
        self._token = token
        # A browser keeps this in place of the token.
        self._pass = secrets.token_urlsafe(32)

    @property
    def needs_token(self) -> bool:
        """Whether one is asked for."""
        return self._token is not None

    def host_is_ours(self, host: str | None) -> bool:
        """Whether ``Host`` is an address, or a name of this computer; no other site's name can be."""
        name = _name_of(host or "")
        return name in self._names or _is_address(name)

    def origin_is_ours(self, origin: str | None, host: str | None) -> bool:
        """Whether ``Origin`` is the page that this server gave out."""
        return origin is not None and origin.lower() == f"http://{(host or '').lower()}"

    def token_fits(self, given: str) -> bool:
        """Compare in a time that tells nothing."""
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
    """Whether an address, or all that a name stands for, is this computer's own.

    Raises
    ------
    InputError
        If nothing has that name.
    """
    return all(ipaddress.ip_address(address).is_loopback for _, address in addresses(host))


def addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Find what a name stands for; addresses stand for themselves."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"live: --host {host} is no address of this computer ({error})") from error
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
    # Cookies do not know of ports: two rigs on one computer must not take each other's.
    return f"lee_live_{port}"
