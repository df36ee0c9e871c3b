# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A running view, and a page of it as a socket."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.ros import TIMEOUT, Process, running
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


def free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return int(listener.getsockname()[1])


def opened(address: str, **options: Any) -> ClientConnection:
    """A socket, to be closed by whoever asked for it."""
    return connect(address, **options).__enter__()


def drained(live: ClientConnection) -> int | None:
    """With which code a socket is closed."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            live.recv(TIMEOUT)
    return live.close_code


class View:
    """A running view and its address."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port = process, port
        self.root = f'127.0.0.1:{port}'

    def started(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while 'watch' not in self.process.output:
            assert self.process.popen.poll() is None, self.process.output
            assert time.monotonic() < deadline, self.process.output
            time.sleep(0.02)

    def token(self, what: str) -> str:
        """Out of the line that was printed for `drive` or `watch`."""
        lines = self.process.output.splitlines()
        return next(x.partition('token=')[2] for x in lines if f'] {what}' in x and 'token' in x)

    def live(self, origin: str = '', **headers: str) -> ClientConnection:
        """A page's socket."""
        origin = origin or f'http://{self.root}'
        return opened(f'ws://{self.root}/live', origin=origin, additional_headers=headers)

    def status(self, **headers: str) -> int:
        """Of a request for the page."""
        request = urllib.request.Request(f'http://{self.root}/', headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code


class Hand:
    """A page's socket as the page uses it."""

    def __init__(self, view: View, **headers: str) -> None:
        self.socket = view.live(**headers)
        self.said: list[str] = []
        self.state: dict[str, Any] = {}
        self.got = 0.0

    def look(self) -> None:
        """Take in a message and acknowledge it, as a page does."""
        message = self.socket.recv(TIMEOUT)
        if isinstance(message, bytes):
            self.socket.send(json.dumps({'f': int.from_bytes(message[:4], 'little')}))
            return
        values = json.loads(message)
        if 'said' in values:
            self.said.append(values['said'])
        if 'n' in values:
            self.state, self.got = values, time.monotonic()
            self.socket.send(json.dumps({'n': values['n']}))

    def until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, f'{what}: {self.state} {self.said}'
            self.look()

    def send(self, **values: Any) -> None:
        self.socket.send(json.dumps(values))

    def hold(self, until: Any, what: str, **hand: float) -> None:
        """Hold keys until something happens."""
        deadline = time.monotonic() + TIMEOUT
        while not until():
            assert time.monotonic() < deadline, f'{what}: {self.state} {self.said}'
            self.send(n=self.state['n'], had=time.monotonic() - self.got, hand=hand)
            self.look()


@contextlib.contextmanager
def viewing(log: Path, *arguments: str, **parameters: Any) -> Iterator[View]:
    port = free_port()
    with running('view_node', log, *arguments, port=port, **parameters) as process:
        view = View(process, port)
        view.started()
        yield view
