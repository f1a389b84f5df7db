"""Who may talk to the live server: pages that it has served itself, opened with its token.

A server on 127.0.0.1 can be reached by every web page that a browser on this machine shows. Such a page names its own
origin in `Origin`; one whose name was pointed at 127.0.0.1 (DNS rebinding) names its own host in `Host`; and none
of them knows the token.
"""

import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Refusal(NamedTuple):
    """An HTTP status and one line for the person who reads it."""

    status: int
    text: str


@dataclass(frozen=True)
class Gate:
    """The rules of one server.

    Attributes:
        host: address that it listens at.
        port: port that it listens at.
        token: secret in the address of its page.
        allow_origins: further origins, such as https://hands.example.org where a proxy serves the page.
    """

    host: str
    port: int
    token: str
    allow_origins: Sequence[str] = ()

    def refusal(self, target: str, headers: Mapping[str, str], *, secret: bool, websocket: bool) -> Refusal | None:
        """Why a request is refused; None where it is not.

        Args:
            target: path and query.
            headers: of the request, without regard to case.
            secret: whether the token is required.
            websocket: whether the origin must be one of the allowed.
        """
        host, origin = headers.get("Host") or "", headers.get("Origin") or ""
        if not self._knows_host(host):
            return Refusal(421, f"Host must be {self.address} but is {host!r}; start with --allow-origin http://{host}")
        if websocket and origin != f"http://{host}" and origin not in self.allow_origins:
            return Refusal(403, f"Origin must be http://{self.address} but is {origin!r}; see --allow-origin")
        if secret and not self._has_token(target):
            return Refusal(403, "the token must be in the address; open the whole one that knuckle live has printed")
        return None

    @property
    def address(self) -> str:
        """Host and port for a browser on this machine."""
        host = "127.0.0.1" if self._everywhere else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{self.address}/?token={self.token}"

    @property
    def _everywhere(self) -> bool:
        return self.host in ("", "0.0.0.0", "::")

    def _knows_host(self, host: str) -> bool:
        if any(host == urlsplit(origin).netloc for origin in self.allow_origins):
            return True
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port:
            return False
        # A number needs no name service, so nobody can point it elsewhere.
        return name in {"127.0.0.1", "localhost", "::1", self.host.lower()} or (self._everywhere and _is_number(name))

    def _has_token(self, target: str) -> bool:
        given = parse_qs(urlsplit(target).query).get("token", [""])[0]
        return secrets.compare_digest(given.encode(), self.token.encode())


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
