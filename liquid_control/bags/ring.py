# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The last seconds of all topics, kept in memory until somebody wants them."""

from collections import deque

from liquid_control.bags.background import ReceivedMessage


class RingBuffer:
    """Messages of the last `max_ns`, and of these no more than `max_bytes`.

    Args:
        max_ns: How far back the buffer reaches, in nanoseconds of log time.
        max_bytes: Size of the messages kept; the oldest go first.
    """

    def __init__(self, *, max_ns: int, max_bytes: int) -> None:
        self._max_ns = max_ns
        self._max_bytes = max_bytes
        self._bytes = 0
        self._messages: deque[ReceivedMessage] = deque()

    def put(self, message: ReceivedMessage) -> None:
        """Keep a message, let go of those too old or too many."""
        self._messages.append(message)
        self._bytes += len(message.data)
        oldest_ns = message.log_ns - self._max_ns
        while self._bytes > self._max_bytes or self._messages[0].log_ns < oldest_ns:
            self._bytes -= len(self._messages.popleft().data)
            if not self._messages:
                return

    def messages(self) -> list[ReceivedMessage]:
        """Return what is kept, oldest first."""
        return list(self._messages)
