# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The thread that fetches messages while the node's executor serves everything else."""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription

Method = TypeVar('Method', bound=Callable[..., Any])


def locked(method: Method) -> Method:
    """Run a method with its object's `_lock` held."""

    @functools.wraps(method)
    def run(self: Any, *arguments: Any) -> Any:
        with self._lock:
            return method(self, *arguments)

    return cast(Method, run)


class Fetched(CallbackGroup):
    """Keeps subscriptions away from the executor: their messages are fetched (`fetched`)."""

    def can_execute(self, entity: object) -> bool:
        return False

    def beginning_execution(self, entity: object) -> bool:
        return False

    def ending_execution(self, entity: object) -> None:
        pass


def fetched(subscription: Subscription, most: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Serialized messages that have come, with what the middleware knows of each."""
    handle = subscription.handle
    with handle:
        for _ in range(most):
            taken = handle.take_message(subscription.msg_type, True)
            if taken is None:
                return
            yield taken


def never_called(data: bytes) -> None:
    """The callback that a subscription must have."""


class FetchThread:
    """Calls `fetch` again and again until closed.

    Args:
        fetch: Called with the lock held.
        period: Seconds between calls.
        lock: What `fetch` shares with the executor's thread.

    Attributes:
        defect: Traceback of what ended the thread early, empty as long as all is well.
    """

    def __init__(
        self,
        node: Node,
        fetch: Callable[[], None],
        period: float,
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
            while not self._closing.wait(self._period):
                with self._lock:
                    self._fetch()
        except Exception:
            self.defect = traceback.format_exc()
            self._node.get_logger().fatal(f'defect, nothing more is recorded:\n{self.defect}')
