"""Writes a bag in a thread of its own, so that a slow disk delays nobody who receives messages.

Between receiver and disk lies a queue bounded in bytes. When it is full, new messages are dropped
and counted per topic: memory stays bounded and every loss is known.
"""

import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
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
        self._waiting_count = 0
        self._waiting_bytes = 0
        self._state = threading.Condition()
        self._closing = False
        self._discarded = False
        self._thread = threading.Thread(target=self._run, name=f'write {bag.path.name}')
        self._thread.start()

    @property
    def queued(self) -> int:
        """Messages waiting to be written."""
        return self._waiting_count

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

    def put(self, message: ReceivedMessage) -> None:
        """Hand over a message, or drop it where the queue is full or writing has failed."""
        size = len(message.data)
        with self._state:
            self.received[message.topic] += 1
            full = self._waiting_count > 0 and self._waiting_bytes + size > self._max_bytes
            if full or self._closing or self.error is not None:
                self.dropped[message.topic] += 1
                return
            self._waiting.append(message)
            self._waiting_count += 1
            self._waiting_bytes += size
            self._state.notify()

    def put_all(self, messages: Sequence[ReceivedMessage]) -> None:
        """Hand over messages that are in memory anyway, however many they are."""
        with self._state:
            for message in messages:
                self.received[message.topic] += 1
                self._waiting.append(message)
                self._waiting_bytes += len(message.data)
            self._waiting_count += len(messages)
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
        self.bytes_written = self._bag.bytes_written
        if self._discarded:
            with suppress(BagError):
                self._bag.close()
            shutil.rmtree(self.path, ignore_errors=True)

    def _write_next(self) -> bool:
        """Write what waits longest, or flush where nothing came for a while; False at the end."""
        with self._state:
            if not self._waiting and not self._closing:
                self._state.wait(FLUSH_SECONDS)
            item = self._waiting[0] if self._waiting else None
            if item is None and self._closing:
                return False
        if item is None:
            self._bag.flush()
            return True
        if isinstance(item, ReceivedMessage):
            self._bag.write(item.topic, item.data, item.log_ns, item.publish_ns)
        else:
            item()
        with self._state:
            self._waiting.popleft()
            if isinstance(item, ReceivedMessage):
                self._waiting_count -= 1
                self._waiting_bytes -= len(item.data)
        self.bytes_written = self._bag.bytes_written
        return True

    def _fail(self, error: BagError) -> None:
        """Count all that did not reach the disk as dropped; the bag keeps what it has."""
        with self._state:
            self.error = error
            for topic, received in self.received.items():
                self.dropped[topic] = received - self._bag.message_counts.get(topic, 0)
            self._waiting.clear()
            self._waiting_count = 0
            self._waiting_bytes = 0
