# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who may see the page and who may act: the gate before everything that the view serves.

A page of anybody's, open in the browser that also shows the view, can send requests to it; so can
whoever is in the same network. Every request and every socket must name a host that is ours (DNS
rebinding), come from a page of that very host (forged requests, sockets of other pages), and,
beyond loopback, bring a token. What does not is refused before anything else looks at it.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal
from urllib.parse import parse_qs

Role = Literal['drive', 'watch']
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Any, Send], Awaitable[None]]

LOOPBACK_NAMES = frozenset({'localhost', '127.0.0.1', '::1'})
_MAX_TOKEN = 200  # characters
_POLICY_VIOLATION = 1008  # close code of a WebSocket
# Only what this server sends is shown or run, in nobody else's frame. Vue compiles templates.
_HEADERS = (
    (
        b'content-security-policy',
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        b"connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b'x-frame-options', b'DENY'),
    (b'x-content-type-options', b'nosniff'),
    (b'referrer-policy', b'no-referrer'),
    (b'cross-origin-opener-policy', b'same-origin'),
    (b'cross-origin-resource-policy', b'same-origin'),
)


@dataclass(frozen=True)
class Denial:
    """Why a request is turned away."""

    status: int
    text: str


@dataclass(frozen=True)
class Tokens:
    """What a browser must bring beyond loopback: one to drive with, one that only watches."""

    drive: str
    watch: str

    @classmethod
    def fresh(cls) -> Tokens:
        """Two that nobody can guess."""
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24))

    def role(self, token: str) -> Role | None:
        """What a token allows; compared in constant time."""
        given = token[:_MAX_TOKEN].encode()
        if hmac.compare_digest(given, self.drive.encode()):
            return 'drive'
        return 'watch' if hmac.compare_digest(given, self.watch.encode()) else None


@dataclass(frozen=True)
class Rules:
    """What the gate goes by."""

    names: frozenset[str] = LOOPBACK_NAMES
    """Names that this machine is called by."""
    beyond_loopback: bool = False
    """Whether others can reach the server: then addresses count as names of ours, too."""
    tokens: Tokens | None = None
    """None: who reaches the server may use it."""
    read_only: bool = False
    """Nobody may act."""

    def refusal(self, scope: Scope) -> Denial | None:
        """Why a request or socket is turned away, whoever sent it; None where it is not."""
        headers = _Headers(scope)
        host = headers.only('host')
        if host is None or not self._is_ours(host):
            return Denial(
                421, f'this is not {str(host)[:200]}: use its address, or name it in `names`'
            )
        origin = headers.only('origin')
        changes = scope['type'] == 'websocket' or scope['method'] not in ('GET', 'HEAD')
        if (origin is None and changes) or (origin is not None and not _same(origin, host)):
            return Denial(403, 'only a page of this server may ask for that')
        if headers.only('sec-fetch-site') in ('cross-site', 'same-site') and not (
            headers.only('sec-fetch-mode') == 'navigate'
            and headers.only('sec-fetch-dest') == 'document'
            and not changes
        ):
            return Denial(403, 'another page may link to this one, not use it')
        return None

    def role(self, token: str | None) -> Role | None:
        """What somebody with this token may do; None: not even see the page."""
        role: Role | None = 'drive'
        if self.tokens is not None:
            role = self.tokens.role(token) if token is not None else None
        return 'watch' if role is not None and self.read_only else role

    def _is_ours(self, host: str) -> bool:
        name = _host_name(host)
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.beyond_loopback or address.is_loopback


class Gate:
    """ASGI middleware: lets through what the rules allow, with the role in `scope['role']`."""

    def __init__(self, app: App, rules: Rules, cookie: str) -> None:
        """cookie: name of the one that keeps the token."""
        self._app = app
        self._rules = rules
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Serve or refuse a request or socket."""
        if scope['type'] not in ('http', 'websocket'):
            await self._app(scope, receive, send)
            return
        refusal = self._rules.refusal(scope)
        if refusal is not None:
            await _refuse(scope, receive, send, refusal)
            return
        given = parse_qs(scope['query_string'][: 4 * _MAX_TOKEN].decode('latin-1')).get('token')
        if given and scope['type'] == 'http' and scope['path'] == '/':
            if self._rules.role(given[0]) is None:
                await _refuse(scope, receive, send, Denial(401, 'this token is not valid here'))
            else:
                await self._remember(send, given[0])
            return
        scope['role'] = self._rules.role(_cookie(scope, self._cookie))
        if scope['role'] is None:
            text = 'open the address with ?token=... that the view printed when it started'
            await _refuse(scope, receive, send, Denial(401, text))
            return
        await self._app(scope, receive, _guarded(send))

    async def _remember(self, send: Send, token: str) -> None:
        """Take the token out of the address, which browsers show and keep."""
        cookie = f'{self._cookie}={token}; Path=/; HttpOnly; SameSite=Lax'
        headers = [(b'location', b'/'), (b'set-cookie', cookie.encode('latin-1')), *_HEADERS]
        await send({'type': 'http.response.start', 'status': 303, 'headers': headers})
        await send({'type': 'http.response.body', 'body': b''})


class _Headers:
    """Header lines of a request, by name in small letters."""

    def __init__(self, scope: Scope) -> None:
        self._lines: Iterable[tuple[bytes, bytes]] = scope['headers']

    def only(self, name: str) -> str | None:
        """The value of a header; None where there is none; '' where there are several."""
        values = [value for key, value in self._lines if key.lower() == name.encode()]
        if len(values) > 1:
            return ''
        return values[0].decode('latin-1') if values else None


def _cookie(scope: Scope, name: str) -> str | None:
    jar = SimpleCookie()
    for key, value in scope['headers']:
        if key.lower() == b'cookie':
            try:
                jar.load(value.decode('latin-1'))
            except CookieError:
                return None
    return jar[name].value if name in jar else None


def _host_name(host: str) -> str:
    """Without port and brackets, in small letters."""
    if host.startswith('['):
        address, end, _ = host[1:].partition(']')
        return address.lower() if end else ''
    name, _, port = host.rpartition(':')
    return (name if name and port.isdigit() else host).lower().rstrip('.')


def _same(origin: str, host: str) -> bool:
    scheme, _, rest = origin.partition('://')
    return scheme in ('http', 'https') and rest.lower() == host.lower()


async def _refuse(scope: Scope, receive: Any, send: Send, refusal: Denial) -> None:
    if scope['type'] == 'websocket':
        await receive()  # its `connect`; closed before it is accepted: the handshake fails
        await send({'type': 'websocket.close', 'code': _POLICY_VIOLATION})
        return
    headers = [(b'content-type', b'text/plain; charset=utf-8'), *_HEADERS]
    await send({'type': 'http.response.start', 'status': refusal.status, 'headers': headers})
    await send({'type': 'http.response.body', 'body': f'{refusal.text}\n'.encode()})


def _guarded(send: Send) -> Send:
    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message['type'] == 'http.response.start':
            message['headers'] = [*message.get('headers', ()), *_HEADERS]
        await send(message)

    return send_with_headers
