# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The web server: one thread with a loop of its own, which ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn

from liquid_control.common.errors import ConfigError

_START_TIMEOUT = 30.0  # s
_STOP_TIMEOUT = 3  # s; pages that are open are not waited for
_MAX_CONNECTIONS = 100
_MAX_MESSAGE = 64 << 10  # bytes of what a page sends on any of its sockets


class Server:
    """Serves an ASGI application on a socket."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        background: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """background: runs in the server's loop for as long as it does."""
        self._listener = listener
        self._background = background
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level='error',
                access_log=False,
                server_header=False,
                lifespan='on',
                ws='auto',
                ws_max_size=_MAX_MESSAGE,
                ws_per_message_deflate=False,  # frames are JPEG: no smaller for the time it takes
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=_STOP_TIMEOUT,
            )
        )
        self._thread = threading.Thread(target=self._run, name='server', daemon=True)

    def start(self) -> None:
        """Return when it serves. Raises ConfigError where it cannot."""
        self._thread.start()
        if not self._started.wait(_START_TIMEOUT) or self._failure is not None:
            raise ConfigError(f'the page cannot be served: {self._failure or "no answer"}')

    def stop(self) -> None:
        """End it; pages are closed."""
        self._server.should_exit = True
        self._thread.join(2 * _STOP_TIMEOUT)
        self._listener.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._server.serve([self._listener]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.01)
        self._started.set()
        background = asyncio.create_task(self._background())
        try:
            await asyncio.wait((serving, background), return_when=asyncio.FIRST_COMPLETED)
        finally:
            background.cancel()
            self._server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(serving, background)
