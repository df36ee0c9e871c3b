# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What led up to now, kept in memory, and the bags that it is written to on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from liquid_control.bags.background import BackgroundWriter, ReceivedMessage
from liquid_control.bags.errors import BagError
from liquid_control.bags.ring import RingBuffer
from liquid_control.nodes.recorder.config import RecorderConfig


class Snapshots:
    """The messages of the last seconds.

    Args:
        open_bag: Begins a bag of a kind, with all topics made known.
        put_latched: Writes what latched topics said, as of a time in nanoseconds.
    """

    def __init__(
        self,
        config: RecorderConfig,
        open_bag: Callable[[str], BackgroundWriter],
        put_latched: Callable[[BackgroundWriter, int], None],
    ) -> None:
        self._open_bag = open_bag
        self._put_latched = put_latched
        self._being_written: list[BackgroundWriter] = []
        self._ring = (
            RingBuffer(max_ns=config.snapshot_ns, max_bytes=config.snapshot_bytes)
            if config.snapshot_ns
            else None
        )

    def keep(self, batch: Iterable[ReceivedMessage]) -> None:
        """Remember messages, and forget those that are too old."""
        if self._ring is not None:
            for message in batch:
                self._ring.put(message)

    def write(self) -> str:
        """Begin to write what is remembered; return where, in words.

        Raises:
            BagError: Nothing is kept or nothing can be written.
        """
        if self._ring is None:
            raise BagError('no snapshot is kept: set snapshot_duration, then configure again')
        messages = self._ring.messages()
        if not messages:
            raise BagError('nothing to write: no message was received yet')
        writer = self._open_bag('snapshot')
        self._put_latched(writer, messages[0].log_ns)
        writer.put(messages, bounded=False)
        writer.close(wait=False)
        self._being_written.append(writer)
        return f'{writer.path}: {len(messages)} messages'

    def failures(self) -> list[str]:
        """Why snapshots that ended since the last call are not whole."""
        ended = [writer for writer in self._being_written if not writer.is_alive]
        for writer in ended:
            self._being_written.remove(writer)
        return [str(writer.error) for writer in ended if writer.error is not None]

    def close(self) -> None:
        """Wait until all are written."""
        for writer in self._being_written:
            writer.close()
