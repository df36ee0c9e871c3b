"""Reads bags of any kind: rosbag2 (MCAP, sqlite3), ROS 1, finished or cut off.

Message types are decoded by the definitions embedded in the bag, so our own and any other types
are read on machines that have never heard of them. Memory use does not grow with the bag.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import yaml
from mcap.exceptions import McapError
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, ConnectionExtRosbag2, Nodetype, Qos
from rosbags.interfaces.typing import RPath

from liquid_control.bags.definitions import standard_types
from liquid_control.bags.errors import BagError, TopicError
from liquid_control.bags.finished_view import FinishedView
from liquid_control.bags.mcap_messages import IndexedFiles
from liquid_control.bags.metadata import FILE_NAME
from liquid_control.bags.recovery import is_finished, scan
from liquid_control.runtime.errors import LiquidControlError

# A message whose first field is a header or a stamp has its time at bytes 4 to 12, in CDR (after
# the encapsulation) as well as in ROS 1 (after the header's sequence number).
_STAMP_OFFSET = 4
_STAMP = struct.Struct('<iI')
_STAMPED_FIELDS = {
    ('header', 'std_msgs/msg/Header'),
    ('stamp', 'builtin_interfaces/msg/Time'),
}


class BagMessage:
    """One message of a bag.

    Attributes:
        topic: Name of the topic.
        msgtype: Full name such as `sensor_msgs/msg/Imu`.
        log_ns: When it was recorded.
        stamp_ns: Stamp of its header, `log_ns` where it has none or left it zero.
        raw: The bytes as recorded.
    """

    __slots__ = ('_decode', '_value', 'log_ns', 'msgtype', 'raw', 'stamp_ns', 'topic')

    def __init__(
        self,
        topic: str,
        msgtype: str,
        log_ns: int,
        stamp_ns: int,
        raw: bytes,
        decode: Callable[[bytes, str], Any],
    ) -> None:
        self.topic = topic
        self.msgtype = msgtype
        self.log_ns = log_ns
        self.stamp_ns = stamp_ns
        self.raw = raw
        self._decode = decode
        self._value: Any = None

    @property
    def value(self) -> Any:
        """The decoded message, with the field names of its definition; arrays are numpy's.

        Raises:
            BagError: The bytes do not fit the type.
        """
        if self._value is None:
            try:
                self._value = self._decode(self.raw, self.msgtype)
            except Exception as error:  # damage can make rosbags raise anything
                raise BagError(
                    f'message on {self.topic} at {self.log_ns} ns is not a {self.msgtype}: '
                    f'{str(error) or type(error).__name__}'
                ) from error
        return self._value


class BagReader:
    """An open bag.

    Args:
        path: Directory of a rosbag2 bag, one of its files, or a ROS 1 `.bag` file.

    Attributes:
        topics: Message type of each topic.
        message_counts: Number of messages of each topic.
        start_ns: Log time of the first message.
        end_ns: Log time of the last message.
        is_finished: Whether the writer closed the bag. If not, everything up to the last whole
            chunk is read as if it had.

    Raises:
        BagError: The bag is missing, empty or cannot be read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.is_finished = True
        with _rosbags_errors(f'{self.path} cannot be read as a bag'):
            paths = [self._readable(file) for file in _files(self.path)]
            self._reader = AnyReader(paths, default_typestore=standard_types())
            self._reader.open()
        if self._reader.message_count == 0:
            self._reader.close()
            raise BagError(f'{self.path} is empty: it was recorded without a single message')
        self.topics: dict[str, str] = {}
        self.message_counts: dict[str, int] = {}
        for topic, info in self._reader.topics.items():
            self.topics[topic] = info.msgtype or info.connections[0].msgtype
            self.message_counts[topic] = info.msgcount
        self.start_ns = self._reader.start_time
        self.end_ns = self._reader.end_time - 1
        # Bound to the type store itself, so that messages outlive the open bag.
        store = self._reader.typestore
        self._decode = store.deserialize_cdr if self._reader.is2 else store.deserialize_ros1
        self._stamped = {c.msgtype: self._is_stamped(c.msgtype) for c in self._reader.connections}
        self._indexed = self._index(paths)

    def __enter__(self) -> 'BagReader':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the bag's files."""
        if self._reader.stack is not None:
            self._reader.close()

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
        decode = self._decode
        messages = self._raw_messages(self._connections(topics), start_ns, end_ns)
        with _rosbags_errors(f'{self.path} is damaged (run `liquid-control bag repair`)'):
            for log_ns, (topic, msgtype, is_stamped), raw in messages:
                stamp_ns = log_ns
                if is_stamped:
                    sec, nanosec = _STAMP.unpack_from(raw, _STAMP_OFFSET)
                    stamp_ns = sec * 1_000_000_000 + nanosec or log_ns
                yield BagMessage(topic, msgtype, log_ns, stamp_ns, raw, decode)

    def _raw_messages(
        self, connections: list[Connection], start_ns: int | None, end_ns: int | None
    ) -> Iterator[tuple[int, tuple[str, str, bool], bytes]]:
        """Yield log time; topic, type and whether that is stamped; bytes."""
        kinds = {
            (c.topic, c.msgtype): (c.topic, c.msgtype, self._stamped[c.msgtype])
            for c in connections
        }
        if self._indexed is not None:
            return self._indexed.messages(
                {topic: kind for (topic, _), kind in kinds.items()},
                start_ns=self.start_ns if start_ns is None else start_ns,
                end_ns=self.end_ns + 1 if end_ns is None else end_ns,
            )
        return (
            (log_ns, kinds[connection.topic, connection.msgtype], raw)
            for connection, log_ns, raw in self._reader.messages(connections, start_ns, end_ns)
        )

    def _index(self, paths: list[RPath]) -> IndexedFiles | None:
        """Return a faster way to the messages than rosbags' where there is one."""
        if any(path.suffix != '.mcap' for path in paths):
            return None
        try:
            indexed = IndexedFiles(paths)
        except (McapError, ValueError, OSError, struct.error):
            return None
        is_whole = indexed.msgtypes == {topic: {kind} for topic, kind in self.topics.items()}
        return indexed if is_whole else None

    def offered_qos(self, topic: str) -> list[Qos]:
        """Return what the topic's publishers offered when it was recorded."""
        return [
            qos
            for connection in self._connections([topic])
            if isinstance(connection.ext, ConnectionExtRosbag2)
            for qos in connection.ext.offered_qos_profiles
        ]

    def to_cdr(self, message: BagMessage) -> bytes:
        """Return a message's bytes as ROS 2 sends them; those of ROS 1 bags are converted."""
        if self._reader.is2:
            return message.raw
        return bytes(standard_types().ros1_to_cdr(message.raw, message.msgtype))

    def _readable(self, path: Path) -> RPath:
        if path.suffix != '.mcap' or is_finished(path):
            return path
        self.is_finished = False
        return cast(RPath, FinishedView(scan(path)))

    def _connections(self, topics: Iterable[str] | None) -> list[Connection]:
        if topics is None:
            return self._reader.connections
        wanted = set(topics)
        missing = sorted(wanted - self.topics.keys())
        if missing:
            raise TopicError(
                f'{self.path} has no topic {", ".join(missing)}; it has {describe(self.topics)}'
            )
        return [c for c in self._reader.connections if c.topic in wanted]

    def _is_stamped(self, msgtype: str) -> bool:
        _, fields = self._reader.typestore.fielddefs.get(msgtype, ([], []))
        if not fields:
            return False
        name, (kind, detail) = fields[0]
        return kind == Nodetype.NAME and (name, detail) in _STAMPED_FIELDS


@contextmanager
def _rosbags_errors(what: str) -> Iterator[None]:
    """Say which bag it is that rosbags stumbled over; damage can make it raise anything."""
    try:
        yield
    except LiquidControlError:
        raise
    except Exception as error:
        raise BagError(f'{what}: {str(error) or type(error).__name__}') from error


def describe(topics: dict[str, str]) -> str:
    """Return topics and types in words, for messages."""
    return ', '.join(f'{name} ({msgtype})' for name, msgtype in sorted(topics.items()))


def _files(path: Path) -> list[Path]:
    """Return the files that make up a bag, in the order they were written."""
    if not path.exists():
        raise BagError(f'{path} does not exist: name a bag directory, or an .mcap or .db3 file')
    if path.is_file():
        return [path]
    metadata = path / FILE_NAME
    if not metadata.exists():
        files = [file for pattern in ('*.mcap', '*.db3') for file in path.glob(pattern)]
        if not files:
            raise BagError(f'{path} is no bag: it has neither {FILE_NAME} nor .mcap or .db3 files')
        return sorted(files, key=_split_number)
    try:
        content = yaml.safe_load(metadata.read_text(encoding='utf-8'))
        information = content['rosbag2_bagfile_information']
        if information.get('compression_mode'):
            return [path]  # rosbag2's own compression of files or messages: rosbags undoes it
        files = [path / Path(name).name for name in information['relative_file_paths']]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise BagError(
            f'{metadata} is damaged ({error}): delete it and run `liquid-control bag repair`'
        ) from error
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise BagError(f'{path} lacks {", ".join(missing)}, which its {FILE_NAME} names')
    return files


def _split_number(path: Path) -> tuple[int, str]:
    number = re.search(r'_(\d+)$', path.stem)
    return (int(number[1]) if number else 0, path.name)
