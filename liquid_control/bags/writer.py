# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writes rosbag2 bags (MCAP) that stay readable whatever happens to the writing process.

A bag is a directory of MCAP files and a metadata.yaml, which is written last: its presence says
that the bag is finished. Until then every second is closed off as a whole chunk, so that a killed
process loses a second at most; `liquid_control.bags.repair` restores the rest.
"""

import math
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from rosbags.interfaces import Qos

from liquid_control.bags import definitions
from liquid_control.bags.definitions import Definition
from liquid_control.bags.errors import BagError
from liquid_control.bags.in_use import lock
from liquid_control.bags.mcap_file import Compression, McapWriter
from liquid_control.bags.messages import serialize
from liquid_control.bags.metadata import (
    BagSummary,
    FileSummary,
    TopicSummary,
    dump_qos,
)
from liquid_control.bags.recovery import finish_file
from liquid_control.common.files import create_new

FLUSH_SECONDS = 1.0  # what a killed process costs at most
_SYNC_SECONDS = 5.0  # what a power cut costs at most; more often would wear out memory cards


@dataclass
class _Topic:
    definition: Definition
    qos: tuple[Qos, ...]
    channel: int = 0
    messages: int = 0  # in the files closed so far


@dataclass
class _File:
    """The file being written: what BagSummary will say about it."""

    path: Path
    stream: BinaryIO
    mcap: McapWriter
    schemas: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def summary(self) -> FileSummary:
        contents = self.mcap.contents
        return FileSummary(self.path.name, contents.start_ns, contents.end_ns, self.counts.total())


class BagWriter:
    """One bag being written, by one thread.

    Args:
        path: Directory to make; it must not exist.
        compression: Of the chunks inside the files.
        split_bytes: Begin a new file when one is larger than this.
        split_ns: Begin a new file when one covers more log time than this.
        custom_data: Free text for metadata.yaml, shown by `ros2 bag info`.
        flush_seconds: Chunks are closed off after so long by the clock on the wall; None: by their
            size alone, so that the same messages make the same bytes.

    Raises:
        BagError: The directory exists already or cannot be written. Every method raises it when
            the disk fails; what was flushed before is then closed off and readable.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        compression: Compression = 'zstd',
        split_bytes: int | None = None,
        split_ns: int | None = None,
        custom_data: Mapping[str, str] | None = None,
        flush_seconds: float | None = FLUSH_SECONDS,
    ) -> None:
        self.path = Path(path)
        self._flush_seconds = math.inf if flush_seconds is None else flush_seconds
        self._compression: Compression = compression
        self._split_bytes = split_bytes
        self._split_ns = split_ns
        self._custom_data = dict(custom_data or {})
        self._topics: dict[str, _Topic] = {}
        self._files: list[FileSummary] = []
        self._bytes_closed = 0
        self._flushed_at = self._synced_at = time.monotonic()
        try:
            self.path.mkdir(parents=True)
            self._file: _File | None = self._open_file()
        except FileExistsError as error:
            raise BagError(f'{self.path} exists already: name another directory') from error
        except OSError as error:
            raise BagError(f'cannot record to {self.path}: {error.strerror}') from error

    def __enter__(self) -> 'BagWriter':
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def bytes_written(self) -> int:
        """Bytes handed to the operating system so far, over all files of the bag."""
        return self._bytes_closed + (self._file.mcap.offset if self._file else 0)

    @property
    def message_counts(self) -> dict[str, int]:
        """Messages in the bag, by topic; of a bag whose disk failed, those that were saved."""
        current = self._file.counts if self._file else Counter[str]()
        return {topic: entry.messages + current[topic] for topic, entry in self._topics.items()}

    def add_topic(
        self,
        topic: str,
        msgtype: str,
        *,
        definition: Definition | None = None,
        qos: Sequence[Qos] = (),
    ) -> None:
        """Make a topic known; a topic added twice keeps what was said first.

        Args:
            topic: Absolute name.
            msgtype: Full name such as `sensor_msgs/msg/Image`.
            definition: Of the type; looked up on this machine where it is not given.
            qos: What the topic's publishers offer, for players of the bag.

        Raises:
            DefinitionError: The type is unknown on this machine.
        """
        if topic in self._topics:
            return
        entry = _Topic(definition or definitions.definition(msgtype), tuple(qos))
        if self._file is not None:
            self._register(self._file, topic, entry)
        self._topics[topic] = entry

    def write(self, topic: str, data: bytes, log_ns: int, publish_ns: int | None = None) -> None:
        """Write one serialised message.

        Args:
            topic: One that was added.
            data: The message's CDR bytes.
            log_ns: When it was received, in nanoseconds.
            publish_ns: When it was published; `log_ns` where that is not known.
        """
        file = self._require_open()
        entry = self._topics[topic]
        if self._is_full(file, log_ns):
            file = self._next_file()
        try:
            file.mcap.add_message(
                entry.channel,
                data,
                sequence=entry.messages + file.counts[topic],
                log_ns=log_ns,
                publish_ns=log_ns if publish_ns is None else publish_ns,
            )
        except OSError as error:
            raise self._failed(error) from error
        file.counts[topic] += 1
        if time.monotonic() - self._flushed_at >= self._flush_seconds:
            self.flush()

    def write_message(self, topic: str, values: Mapping[str, Any], stamp_ns: int) -> None:
        """Write one message given as plain values; see `liquid_control.bags.messages`."""
        msgtype = self._topics[topic].definition.msgtype
        self.write(topic, serialize(msgtype, values, stamp_ns), stamp_ns)

    def flush(self) -> None:
        """Close off the chunk being filled: what was written is now safe from a killed process."""
        file = self._require_open()
        try:
            file.mcap.flush()
            self._flushed_at = time.monotonic()
            if self._flushed_at - self._synced_at >= _SYNC_SECONDS:
                self._synced_at = self._flushed_at
                os.fsync(file.stream.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Finish the bag: indexes, then metadata.yaml. Closing a closed bag does nothing."""
        if self._file is None:
            return
        self._close_file()
        try:
            self._summary().write(self.path)
        except OSError as error:
            raise BagError(f'cannot finish {self.path}: {error.strerror}') from error

    def _require_open(self) -> _File:
        if self._file is None:
            raise BagError(f'{self.path} is closed: nothing more can be written to it')
        return self._file

    def _is_full(self, file: _File, log_ns: int) -> bool:
        if self._split_bytes is not None and file.mcap.offset >= self._split_bytes:
            return True
        return (
            self._split_ns is not None
            and bool(file.counts)
            and log_ns - file.mcap.contents.start_ns >= self._split_ns
        )

    def _next_file(self) -> _File:
        self._close_file()
        try:
            self._file = self._open_file()
        except OSError as error:
            with suppress(OSError):
                self._summary().write(self.path)
            raise BagError(f'cannot record to {self.path}: {error.strerror}') from error
        return self._file

    def _open_file(self) -> _File:
        path = self.path / f'{self.path.name}_{len(self._files)}.mcap'
        stream = self._open_stream(path)
        file = _File(path, stream, McapWriter(stream, self._compression))
        for topic, entry in self._topics.items():
            self._register(file, topic, entry)
        return file

    def _open_stream(self, path: Path) -> BinaryIO:
        stream = os.fdopen(create_new(path), 'wb')
        lock(stream)  # tells `bag repair` that it is being written
        return stream

    def _register(self, file: _File, topic: str, entry: _Topic) -> None:
        msgtype = entry.definition.msgtype
        if msgtype not in file.schemas:
            file.schemas[msgtype] = file.mcap.add_schema(msgtype, entry.definition.text)
        entry.channel = file.mcap.add_channel(
            topic,
            file.schemas[msgtype],
            {
                'offered_qos_profiles': dump_qos(entry.qos),
                'topic_type_hash': entry.definition.type_hash,
            },
        )

    def _close_file(self) -> None:
        file = self._require_open()
        try:
            file.mcap.finish()
            os.fsync(file.stream.fileno())
            self._bytes_closed += file.mcap.offset
            file.stream.close()
        except OSError as error:
            raise self._failed(error) from error
        self._file = None
        self._account(file.summary(), file.counts)

    def _account(self, file: FileSummary, counts: Counter[str]) -> None:
        self._files.append(file)
        for topic, count in counts.items():
            self._topics[topic].messages += count

    def _failed(self, error: OSError) -> BagError:
        """Save what reached the disk: cut off the torn end, which also makes room for an index."""
        assert self._file is not None
        path, stream = self._file.path, self._file.stream
        self._file = None
        with suppress(OSError):  # tries once more the bytes that did not fit; closes all the same
            stream.close()
        with suppress(OSError, BagError):  # not even room for an index: `bag repair` will do it
            recovered = finish_file(path)
            counts = Counter({topic.name: topic.message_count for topic in recovered.topics})
            self._account(recovered.file, counts)
            self._summary().write(self.path)
        return BagError(f'cannot write {path}: {error.strerror}; what was written before is kept')

    def _summary(self) -> BagSummary:
        return BagSummary(
            [
                TopicSummary(
                    topic,
                    entry.definition.msgtype,
                    entry.definition.type_hash,
                    entry.qos,
                    entry.messages,
                )
                for topic, entry in self._topics.items()
            ],
            self._files,
            self._custom_data,
        )
