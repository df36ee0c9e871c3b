# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The thread that fetches messages while the node's executor serves everything else."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable
from typing import Any, TypeVar, cast

from rclpy.node import Node

Method = TypeVar('Method', bound=Callable[..., Any])


def locked(method: Method) -> Method:
    """Run a method with its object's `_lock` held."""

    @functools.wraps(method)
    def run(self: Any, *arguments: Any) -> Any:
        with self._lock:
            return method(self, *arguments)

    return cast(Method, run)


class FetchThread:
    """Calls `fetch` again and again until closed.

    Args:
        fetch: Called with the lock held.
        period: Seconds between calls; asked anew each time.
        lock: What `fetch` shares with the executor's thread.

    Attributes:
        defect: Traceback of what ended the thread early, empty as long as all is well.
    """

    def __init__(
        self,
        node: Node,
        fetch: Callable[[], None],
        period: Callable[[], float],
        lock: threading.RLock,
    ) -> None:
        self.defect = ''
        self._node = node
        self._fetch = fetch
        self._period = period
        self._lock = lock
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name='fetch messages')
        self._thread.start()

    def close(self) -> None:
        """End the thread; the lock must not be held."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closing.wait(self._period()):
                with self._lock:
                    self._fetch()
        except Exception:
            self.defect = traceback.format_exc()
            self._node.get_logger().fatal(f'defect, nothing more is recorded:\n{self.defect}')
