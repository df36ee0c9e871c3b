# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Log lines of threads that must not wait for a terminal: the executor writes them."""

from __future__ import annotations

import time
from collections import deque

from rclpy.node import Node

# As many lines may wait for an executor that is busy.
_LONGEST_QUEUE = 200
_THROTTLE = 2.0  # s


class PatientLog:
    """Takes lines from any thread at once; a terminal that does not read them holds up nobody."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lines: deque[tuple[bool, str]] = deque(maxlen=_LONGEST_QUEUE)
        self._last: dict[str, float] = {}
        self._waiting = node.create_guard_condition(self.flush)

    def info(self, text: str) -> None:
        self._add(False, text)

    def warning(self, text: str) -> None:
        self._add(True, text)

    def warning_at_times(self, topic: str, text: str) -> None:
        """A warning that may come at every tick; `topic`: what is told once in two seconds."""
        now = time.monotonic()
        if now - self._last.get(topic, -_THROTTLE) >= _THROTTLE:
            self._last[topic] = now
            self.warning(text)

    def flush(self) -> None:
        """Write what waits; in the executor's thread, or when it is gone."""
        logger = self._node.get_logger()
        while self._lines:
            is_warning, text = self._lines.popleft()
            # Two calls: a place in the code may log at one severity only.
            if is_warning:
                logger.warning(text)
            else:
                logger.info(text)

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        self._node.destroy_guard_condition(self._waiting)

    def _add(self, is_warning: bool, text: str) -> None:
        self._lines.append((is_warning, text))
        self._waiting.trigger()
