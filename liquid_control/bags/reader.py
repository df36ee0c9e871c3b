# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reads bags of any kind: rosbag2 (MCAP, sqlite3), ROS 1, finished or cut off.

Message types are decoded by the definitions embedded in the bag, so our own and any other types
are read on machines that have never heard of them. Memory use does not grow with the bag, and not
beyond what a chunk may unpack to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.interfaces import Qos

from liquid_control.bags.bag_files import find_files, open_part
from liquid_control.bags.decoding import STAMP, Decoder, msgtype_of
from liquid_control.bags.errors import BagError, EmptyPartError, TopicError
from liquid_control.bags.metadata import FILE_NAME, read_qos
from liquid_control.bags.parts import FIRST_NS, LAST_NS, Channel, Part, merged
from liquid_control.bags.unpacking import ZSTD_MAGIC, unpack_message
from liquid_control.common.errors import LiquidControlError
from liquid_control.common.stamps import NS


class _Kind:
    """What the messages of one channel have in common."""

    __slots__ = ('decode', 'is_cdr', 'msgtype', 'stamp_offset', 'topic')

    def __init__(self, channel: Channel) -> None:
        self.topic = channel.topic
        self.decode = Decoder(channel)
        self.msgtype = self.decode.msgtype
        self.is_cdr = not self.decode.is_ros1
        self.stamp_offset = self.decode.stamp_offset()


class BagMessage:
    """One message of a bag.

    Attributes:
        topic: Name of the topic.
        msgtype: Full name such as `sensor_msgs/msg/Imu`.
        log_ns: When it was recorded.
        stamp_ns: Stamp of its header, `log_ns` where it has none or left it zero.
        raw: The bytes as they were sent.
        number: Among those of its topic that were read, as `bags.clock` counts them.
    """

    __slots__ = ('_decode', '_value', 'log_ns', 'msgtype', 'number', 'raw', 'stamp_ns', 'topic')

    def __init__(self, kind: _Kind, log_ns: int, stamp_ns: int, raw: bytes) -> None:
        self.topic = kind.topic
        self.msgtype = kind.msgtype
        self.log_ns = log_ns
        self.stamp_ns = stamp_ns
        self.raw = raw
        self.number = 0
        self._decode = kind.decode
        self._value: Any = None

    @property
    def value(self) -> Any:
        """The decoded message, with the field names of its definition; arrays are numpy's.

        Raises:
            BagError: The bytes do not fit the type.
        """
        if self._value is None:
            try:
                self._value = self._decode(self.raw)
            except Exception as error:
                raise self._not_of_its_type(error) from error
        return self._value

    def to_cdr(self) -> bytes:
        """Return the bytes as ROS 2 sends them; those of ROS 1 bags are converted.

        Raises:
            BagError: The bytes do not fit the type.
        """
        if not self._decode.is_ros1:
            return self.raw
        try:
            return self._decode.to_cdr(self.raw)
        except Exception as error:
            raise self._not_of_its_type(error) from error

    def _not_of_its_type(self, error: Exception) -> BagError:
        """Damage can make rosbags raise anything."""
        if isinstance(error, BagError):
            return error
        return BagError(
            f'message on {self.topic} at {self.log_ns} ns is not a {self.msgtype}: '
            f'{str(error) or type(error).__name__}'
        )


class BagReader:
    """An open bag.

    Args:
        path: Directory of a rosbag2 bag, one of its files, or a ROS 1 `.bag` file.
        parts: Its files, where they are open already; from here on they are this object's.

    Attributes:
        topics: Message type of each topic of ROS messages.
        filled: Those with a message at least; a recorder also notes what nobody published.
        others: What is on the other topics, in words: JSON, Protobuf, …
        message_counts: Number of messages of each topic.
        start_ns: Log time of the first message.
        end_ns: Log time of the last message.
        is_finished: Whether the writer closed the bag. If not, everything up to the last whole
            chunk is read as if it had.
        problems: What is wrong with the files, and what of them is not read because of it.

    Raises:
        BagError: The bag is missing, empty or cannot be read.
    """

    def __init__(self, path: Path | str, *, parts: Sequence[Part] = ()) -> None:
        self.path = Path(path)
        self._parts: list[Part] = list(parts)
        self.problems: list[str] = []
        try:
            with _errors(f'{self.path} cannot be read as a bag'):
                if not parts:
                    self._open()
        except BaseException:
            self.close()
            raise
        self._collect()

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the bag's files."""
        for part in self._parts:
            part.close()
        self._parts = []

    def messages(
        self,
        topics: Iterable[str] | None = None,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[BagMessage]:
        """Yield messages in the order of their log times.

        Args:
            topics: Topics wanted; all of them if None.
            start_ns: First log time wanted.
            end_ns: Log time to stop before.

        Raises:
            TopicError: The bag has not one of the topics.
            BagError: The bag is damaged; the messages before have been yielded.
        """
        parts = self._wanted(topics)
        first_ns = FIRST_NS if start_ns is None else start_ns
        end_ns = LAST_NS + 1 if end_ns is None else end_ns
        with _errors(f'{self.path} is damaged{self._remedy()}'):
            for log_ns, kind, raw in merged(parts, first_ns, end_ns):
                if kind.is_cdr and raw.startswith(ZSTD_MAGIC):
                    raw = unpack_message(raw)
                stamp_ns = log_ns
                offset = kind.stamp_offset
                if offset is not None and len(raw) >= offset + STAMP.size:
                    sec, nanosec = STAMP.unpack_from(raw, offset)
                    stamp_ns = sec * NS + nanosec or log_ns
                yield BagMessage(kind, log_ns, stamp_ns, raw)

    def offered_qos(self, topic: str) -> list[Qos]:
        """Return what the topic's publishers offered when it was recorded."""
        self._check([topic])
        return [
            qos
            for part in self._parts
            for channel in part.channels.values()
            if channel.topic == topic
            for qos in read_qos(channel.qos)
        ]

    def to_cdr(self, message: BagMessage) -> bytes:
        """Return a message's bytes as ROS 2 sends them; those of ROS 1 bags are converted."""
        return message.to_cdr()

    def describe(self) -> str:
        """Return topics and types in words, for messages."""
        return ', '.join(
            f'{topic} ({kind}{"" if topic in self.filled else ", without a message"})'
            for topic, kind in self.topics.items()
        )

    def _open(self) -> None:
        found = find_files(self.path)
        if found.missing:
            raise BagError(
                f'{self.path} lacks {", ".join(found.missing)}, which its {FILE_NAME} names: copy '
                'what is missing, or go on without it after `liquid-control bag repair`'
            )
        self.problems += found.problems
        empty: list[EmptyPartError] = []
        for file in found.files:
            try:
                part = open_part(file)
            except EmptyPartError as error:
                empty.append(error)
                self.problems.append(f'{file.name} holds no whole message and is left out')
                continue
            self._parts.append(part)
            self.problems += [f'{file.name} {problem}' for problem in part.problems]
        if empty and not self._parts:
            raise empty[0]

    def _collect(self) -> None:
        """Find out what there is, over all parts."""
        self.is_finished = all(part.is_finished for part in self._parts)
        self.message_counts: dict[str, int] = {}
        kinds: dict[str, Counter[str]] = {}
        self.others: dict[str, str] = {}
        for part in self._parts:
            for channel in part.channels.values():
                msgtype = msgtype_of(channel)
                if not msgtype:
                    self.others[channel.topic] = describe_channel(channel)
                    continue
                kinds.setdefault(channel.topic, Counter())[msgtype] += channel.message_count
        self.topics = {topic: kinds[topic].most_common(1)[0][0] for topic in sorted(kinds)}
        for topic, counts in kinds.items():
            self.message_counts[topic] = counts[self.topics[topic]]
            if len(counts) > 1:
                self.problems.append(
                    f'{topic} has messages of several types; only {self.topics[topic]} is read'
                )
        self.filled = {t: kind for t, kind in self.topics.items() if self.message_counts[t]}
        filled = [part for part in self._parts if any(c.message_count for c in _channels(part))]
        if not any(self.message_counts.values()):
            self.close()
            what = 'it was recorded without a single message'
            if self.others:
                listed = ', '.join(f'{topic} ({kind})' for topic, kind in self.others.items())
                what = f'it has no ROS messages, only {listed}'
            raise BagError(f'{self.path} is empty: {what}')
        self.start_ns = min(part.start_ns for part in filled)
        self.end_ns = max(part.end_ns for part in filled)

    def _wanted(self, topics: Iterable[str] | None) -> list[tuple[Part, dict[int, _Kind]]]:
        """The parts, and what is wanted of each."""
        if topics is None:
            topics = self.topics
        topics = set(topics)
        self._check(topics)
        kinds: dict[Channel, _Kind] = {}
        wanted = []
        for part in self._parts:
            chosen = {
                number: channel
                for number, channel in part.channels.items()
                if channel.topic in topics and msgtype_of(channel) == self.topics[channel.topic]
            }
            for channel in chosen.values():
                if channel not in kinds:
                    kinds[channel] = _Kind(channel)
            if chosen:
                wanted.append((part, {n: kinds[channel] for n, channel in chosen.items()}))
        return wanted

    def _check(self, topics: Iterable[str]) -> None:
        missing = sorted(set(topics) - self.topics.keys())
        if missing:
            raise TopicError(
                f'{self.path} has no topic {", ".join(missing)}; it has {self.describe()}'
            )

    def _remedy(self) -> str:
        """Repair helps where damaged chunks are left out: in a directory of MCAP files."""
        can_be_repaired = self.path.is_dir() and all(
            part.path.suffix == '.mcap' for part in self._parts
        )
        return ' (run `liquid-control bag repair`)' if can_be_repaired else ''


def describe_channel(channel: Channel) -> str:
    """Return what a channel carries that is no ROS message."""
    encoding = channel.encoding or 'bytes'
    return f'{encoding}: {channel.msgtype}' if channel.msgtype else encoding


def _channels(part: Part) -> Iterable[Channel]:
    return part.channels.values()


@contextmanager
def _errors(what: str) -> Iterator[None]:
    """Say which bag it is that a library stumbled over; damage can make it raise anything."""
    try:
        yield
    except LiquidControlError:
        raise
    except OSError as error:
        reason = f'{error.filename}: {error.strerror}' if error.filename else str(error)
        raise BagError(f'{what}: {reason}') from error
    except Exception as error:
        raise BagError(f'{what}: {str(error) or type(error).__name__}') from error
