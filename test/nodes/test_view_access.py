# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The view's gate: who is let in, and what a hostile page can send."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.nodes.view.access import LOOPBACK_NAMES, Gate, Rules, Tokens
from liquid_control.nodes.view.addresses import addresses, is_loopback, tokens

LOCAL = Rules()
TOKENS = Tokens('d' * 32, 'w' * 32)
NETWORK = Rules(LOOPBACK_NAMES | {'robot.local'}, beyond_loopback=True, tokens=TOKENS)
PAGE = {'host': 'localhost:8080'}
OWN = {'host': 'localhost:8080', 'origin': 'http://localhost:8080'}


def ask(
    rules: Rules, headers: dict[str, str], *, kind: str = 'http', method: str = 'GET',
    path: str = '/', query: str = '',
) -> Any:  # fmt: skip
    """Send a request through the gate: the role that it is let in with, else status or code."""
    let_in: list[str] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        let_in.append(scope['role'])

    async def receive() -> Any:
        return {'type': 'websocket.connect'}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        'type': kind,
        'method': method,
        'path': path,
        'query_string': query.encode(),
        'headers': [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    asyncio.run(Gate(app, rules, 'key')(scope, receive, send))
    return let_in[0] if let_in else sent[0].get('status', sent[0].get('code'))


@pytest.mark.parametrize(
    'headers',
    [
        PAGE,
        OWN,
        {'host': '127.0.0.1:9'},  # through a tunnel that begins at another port
        {'host': '[::1]:8080', 'origin': 'http://[::1]:8080'},
        {**PAGE, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate'},
        {**OWN, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors'},
        # A link on another page may be followed.
        {**PAGE, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate',
         'sec-fetch-dest': 'document'},
    ],
)  # fmt: skip
def test_own_page_is_served_on_loopback(headers: dict[str, str]) -> None:
    assert ask(LOCAL, headers) == 'drive'


def test_own_page_may_open_sockets_and_send() -> None:
    assert ask(LOCAL, OWN, kind='websocket', path='/live') == 'drive'
    assert ask(LOCAL, OWN, method='POST', path='/_nicegui_ws/') == 'drive'


@pytest.mark.parametrize('rules', [LOCAL, NETWORK])
@pytest.mark.parametrize('kind', ['http', 'websocket'])
@pytest.mark.parametrize(
    'host', ['evil.com', 'evil.com:8080', 'localhost.evil.com', '127.0.0.1.evil.com', '', '[::1']
)
def test_name_that_is_not_ours_is_refused(rules: Rules, kind: str, host: str) -> None:
    """What a page gets that has its own name point at this machine."""
    headers = {'host': host, 'origin': f'http://{host}', 'cookie': f'key={TOKENS.drive}'}
    assert ask(rules, headers, kind=kind) in (421, 1008)


def test_address_of_elsewhere_is_no_loopback() -> None:
    assert ask(LOCAL, {'host': '192.168.1.5:8080'}) == 421


@pytest.mark.parametrize(
    'headers',
    [
        PAGE,  # no browser leaves the origin out of a socket's handshake
        {**PAGE, 'origin': 'null'},
        {**PAGE, 'origin': 'http://evil.com'},
        {**PAGE, 'origin': 'http://localhost:9090'},
        {**PAGE, 'origin': 'file://localhost:8080'},
        {**OWN, 'sec-fetch-site': 'cross-site'},
        {**OWN, 'sec-fetch-site': 'same-site'},
    ],
)
def test_page_of_another_can_neither_open_a_socket_nor_post(headers: dict[str, str]) -> None:
    assert ask(LOCAL, headers, kind='websocket', path='/live') == 1008
    assert ask(LOCAL, headers, method='POST') == 403


@pytest.mark.parametrize('destination', ['iframe', 'image', 'script', 'empty'])
def test_page_of_another_can_embed_nothing(destination: str) -> None:
    mode = 'navigate' if destination == 'iframe' else 'no-cors'
    fetched = {'sec-fetch-site': 'cross-site', 'sec-fetch-mode': mode}
    assert ask(LOCAL, {**PAGE, **fetched, 'sec-fetch-dest': destination}) == 403


@pytest.mark.parametrize(
    ('cookie', 'expected'),
    [
        ('', 401),
        ('key=', 401),
        ('key=ddd', 401),
        (f'other={TOKENS.drive}', 401),
        (f'key={TOKENS.drive}', 'drive'),
        (f'a=b; key={TOKENS.watch}', 'watch'),
        (f'key={TOKENS.drive}x', 401),
    ],
)
def test_beyond_loopback_a_token_decides(cookie: str, expected: object) -> None:
    for host in ('10.0.0.7:8080', 'robot.local:8080', 'localhost:8080'):
        assert ask(NETWORK, {'host': host, 'cookie': cookie}) == expected


def test_token_in_the_address_becomes_a_cookie() -> None:
    host = {'host': '10.0.0.7'}
    assert ask(NETWORK, host, query=f'token={TOKENS.watch}') == 303
    assert ask(NETWORK, host, query='token=guessed') == 401
    assert ask(NETWORK, host, path='/live', query=f'token={TOKENS.drive}') == 401


def test_read_only_lets_nobody_drive() -> None:
    assert ask(Rules(read_only=True), PAGE) == 'watch'
    closed = Rules(beyond_loopback=True, tokens=TOKENS, read_only=True)
    cookie = {'host': '10.0.0.7', 'cookie': f'key={TOKENS.drive}'}
    assert ask(closed, cookie, kind='websocket') == 1008
    assert ask(closed, cookie) == 'watch'


def test_tokens_are_kept_where_a_file_is_named(tmp_path: Any) -> None:
    file = tmp_path / 'tokens'
    made = tokens(str(file))
    assert tokens(str(file)) == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert tokens('') != tokens('')
    for text in ('one', 'short words', f'{"a" * 20} {"a" * 20}'):
        file.write_text(text)
        with pytest.raises(ConfigError, match='token_file'):
            tokens(str(file))


def test_what_is_printed_opens_the_page() -> None:
    assert [is_loopback(host) for host in ('127.0.0.1', 'localhost', '::1')] == [True] * 3
    assert [is_loopback(host) for host in ('0.0.0.0', '::', '10.0.0.7', 'robot')] == [False] * 4
    drive, watch = addresses('10.0.0.7', 80, TOKENS, read_only=False)
    assert drive == f'drive and watch: http://10.0.0.7:80/?token={TOKENS.drive}'
    assert watch == f'watch only: http://10.0.0.7:80/?token={TOKENS.watch}'
    assert TOKENS.drive not in ''.join(addresses('::', 80, TOKENS, read_only=True))
