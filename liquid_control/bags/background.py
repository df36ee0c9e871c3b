# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes a bag in a thread of its own, so that a slow disk delays nobody who receives messages.

Between receiver and disk lies a queue bounded in bytes. When it is full, new messages are dropped
and counted per topic: memory stays bounded and every loss is known.
"""

import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from rosbags.interfaces import Qos

from liquid_control.bags.definitions import Definition
from liquid_control.bags.errors import BagError
from liquid_control.bags.writer import FLUSH_SECONDS, BagWriter


class ReceivedMessage(NamedTuple):
    """A serialised message on its way to a bag; times in nanoseconds."""

    topic: str
    data: bytes
    log_ns: int
    publish_ns: int


class BackgroundWriter:
    """The thread that writes one bag, and the queue that feeds it.

    Args:
        bag: An open bag; from here on it is this object's.
        max_bytes: Bytes of messages that may wait to be written.

    Attributes:
        received: Messages offered, by topic.
        dropped: Messages refused, by topic.
        bytes_written: Size of the bag's files so far.
        error: Why writing ended early, None as long as all is well.
    """

    def __init__(self, bag: BagWriter, *, max_bytes: int) -> None:
        self.path = bag.path
        self.received: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.bytes_written = 0
        self.error: BagError | None = None
        self._bag = bag
        self._max_bytes = max_bytes
        self._waiting: deque[ReceivedMessage | Callable[[], None]] = deque()
        # Each counter has one thread that changes it, so that reading them needs no lock.
        self._count_in = self._count_out = 0
        self._bytes_in = self._bytes_out = 0
        self._state = threading.Condition()
        self._closing = False
        self._discarded = False
        self._thread = threading.Thread(target=self._run, name=f'write {bag.path.name}')
        self._thread.start()

    @property
    def queued(self) -> int:
        """Messages waiting to be written."""
        return self._count_in - self._count_out

    @property
    def is_alive(self) -> bool:
        """Whether the bag is still being written or closed."""
        return self._thread.is_alive()

    def add_topic(
        self, topic: str, msgtype: str, *, definition: Definition, qos: Sequence[Qos]
    ) -> None:
        """Make a topic known, before its first message."""
        with self._state:
            self._waiting.append(
                lambda: self._bag.add_topic(topic, msgtype, definition=definition, qos=qos)
            )

    def put(self, messages: Iterable[ReceivedMessage], *, bounded: bool = True) -> None:
        """Hand over messages; drop those for which the queue is full, or all if writing failed.

        Args:
            bounded: False for messages that are in memory anyway and take no more of it here.
        """
        with self._state:
            for message in messages:
                self.received[message.topic] += 1
                size = len(message.data)
                waiting = self._bytes_in - self._bytes_out
                full = bounded and waiting > 0 and waiting + size > self._max_bytes
                if full or self._closing or self.error is not None:
                    self.dropped[message.topic] += 1
                    continue
                self._waiting.append(message)
                self._count_in += 1
                self._bytes_in += size
            self._state.notify()

    def close(self, *, wait: bool = True) -> None:
        """Write what is queued and finish the bag."""
        self._end(discard=False, wait=wait)

    def discard(self) -> None:
        """Stop at once and delete the bag."""
        self._end(discard=True, wait=True)

    def _end(self, *, discard: bool, wait: bool) -> None:
        with self._state:
            self._closing = True
            self._discarded = self._discarded or discard
            self._state.notify()
        if wait:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._discarded and self._write_next():
                pass
            if not self._discarded:
                self._bag.close()
        except BagError as error:
            self._fail(error)
        except Exception as error:  # a defect: nobody must go on believing that this records
            self._fail(BagError(f'{self.path} ended by a defect: {error!r}'))
            raise
        self.bytes_written = max(self.bytes_written, self._bag.bytes_written)  # 0 after an error
        if self._discarded:
            with suppress(BagError):
                self._bag.close()
            shutil.rmtree(self.path, ignore_errors=True)

    def _write_next(self) -> bool:
        """Write what waits longest, or flush where nothing came for a while; False at the end."""
        if not self._waiting:
            with self._state:
                if not self._waiting and not self._closing:
                    self._state.wait(FLUSH_SECONDS)
                if not self._waiting and self._closing:
                    return False
            if not self._waiting:
                self._bag.flush()
                return True
        item = self._waiting.popleft()
        if isinstance(item, ReceivedMessage):
            self._bag.write(item.topic, item.data, item.log_ns, item.publish_ns)
            self._count_out += 1
            self._bytes_out += len(item.data)
            self.bytes_written = self._bag.bytes_written
        else:
            item()
        return True

    def _fail(self, error: BagError) -> None:
        """Count all that did not reach the disk as dropped; the bag keeps what it has."""
        with self._state:
            self.error = error
            for topic, received in self.received.items():
                self.dropped[topic] = received - self._bag.message_counts.get(topic, 0)
            self._waiting.clear()
            self._count_out = self._count_in
            self._bytes_out = self._bytes_in
