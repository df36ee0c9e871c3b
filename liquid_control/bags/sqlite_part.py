# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A sqlite3 file as part of a bag, as rosbag2 wrote them until ROS 2 Iron.

It is opened so that nothing of it can be changed, and nothing in it is run.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from liquid_control.bags.errors import BagError, EmptyPartError
from liquid_control.bags.parts import Channel, Message, Piece
from liquid_control.bags.unpacking import check_size, max_unpacked
from liquid_control.common.files import open_regular

MAGIC = b'SQLite format 3\0'

_JOURNALS = ('-wal', '-journal')
_LIMIT_LENGTH = 0  # of a value; sqlite3.SQLITE_LIMIT_LENGTH where Python has it
_KEEP_FREE = 256 << 20
_TABLES = {'messages', 'topics', 'message_definitions'}
_PLAIN_TABLE = re.compile(r'\s*CREATE\s+TABLE\b', re.IGNORECASE)
_COMPUTED = re.compile(r'\b(?:AS|GENERATED)\b', re.IGNORECASE)


class SqlitePart:
    """See `parts.Part`."""

    storage = 'sqlite3'
    pieces: list[Piece] | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.compression = ''
        self.problems: list[str] = []
        self.is_finished = True
        self._rows: list[tuple[int, int, int]] | None = None  # of a damaged file
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._database = self._open()
            self.channels = self._channels()
            self.start_ns, self.end_ns = self._count()
        except sqlite3.Error as error:
            self.close()
            raise BagError(f'{path} cannot be read as a sqlite3 bag: {error}') from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        database = getattr(self, '_database', None)
        if database is not None:
            database.close()
        if self._copies is not None:
            self._copies.cleanup()

    def stream(self, wanted: Mapping[int, Any], start_ns: int, end_ns: int) -> Iterator[Message]:
        if self._rows is not None:
            yield from self._salvaged(wanted, start_ns, end_ns)
            return
        topics = ','.join(str(int(number)) for number in wanted)
        rows = self._database.execute(
            f'SELECT timestamp, topic_id, data FROM messages WHERE topic_id IN ({topics}) '
            'AND timestamp >= ? AND timestamp < ? ORDER BY timestamp',
            (max(start_ns, -(1 << 63)), min(end_ns, (1 << 63) - 1)),
        )
        for log_ns, topic, data in rows:
            yield log_ns, wanted[topic], _bytes(data)

    def _salvaged(
        self, wanted: Mapping[int, Any], start_ns: int, end_ns: int
    ) -> Iterator[Message]:
        assert self._rows is not None
        for log_ns, row, topic in self._rows:
            if topic in wanted and start_ns <= log_ns < end_ns:
                query = 'SELECT data FROM messages WHERE rowid = ?'
                ((data,),) = self._database.execute(query, (row,))
                yield log_ns, wanted[topic], _bytes(data)

    def _open(self) -> sqlite3.Connection:
        path = self._with_journal()
        # Immutable: no locks, no journal, nothing is written beside it.
        uri = f'file:{quote(str(path.absolute()))}?mode=ro&immutable=1'
        if self._copies is not None:
            uri = f'file:{quote(str(path))}'
        database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        if hasattr(database, 'setlimit'):  # Python 3.11
            limit = min(max_unpacked(), (1 << 31) - 1)
            database.setlimit(_LIMIT_LENGTH, limit)
        database.execute('PRAGMA trusted_schema = OFF')
        try:
            database.execute('SELECT COUNT(*) FROM sqlite_master').fetchone()
        except sqlite3.DatabaseError:
            # A file that is cut off is refused as a whole, but not to those who repair schemas.
            database.execute('PRAGMA writable_schema = ON')
        return database

    def _with_journal(self) -> Path:
        """The file, or a copy where what was written last lies in a journal beside it."""
        journals = [
            journal
            for suffix in _JOURNALS
            if (journal := self.path.with_name(self.path.name + suffix)).is_file()
            and journal.stat().st_size
        ]
        if not journals:
            return self.path
        self.problems.append('is not finished: its writer was killed, or is still writing')
        self.is_finished = False
        self._copies = tempfile.TemporaryDirectory(prefix='liquid_control_')
        folder = Path(self._copies.name)
        room = shutil.disk_usage(folder).free - _KEEP_FREE
        files = [self.path, *journals]
        check_size(f'{self.path} with its journal', sum(f.stat().st_size for f in files), room)
        for file in files:
            target = folder / self.path.name.replace('?', '_')
            target = target.with_name(target.name + file.name.removeprefix(self.path.name))
            with open_regular(file) as source, target.open('xb') as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        return folder / self.path.name.replace('?', '_')

    def _channels(self) -> dict[int, Channel]:
        tables = dict(
            self._database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        )
        for name in ('messages', 'topics'):
            if name not in tables:
                raise BagError(f'{self.path} is a sqlite3 file but no bag: it has no {name}')
        for name in _TABLES & tables.keys():
            # A virtual table, or a column that is computed, could ask for any time and memory.
            if not _PLAIN_TABLE.match(tables[name]) or _COMPUTED.search(tables[name]):
                raise BagError(f'{self.path}: its table {name} is not one that rosbag2 writes')
        columns = {row[1] for row in self._database.execute('PRAGMA table_info(topics)')}
        qos = 'offered_qos_profiles' if 'offered_qos_profiles' in columns else "''"
        definitions = {}
        if 'message_definitions' in tables:
            query = 'SELECT topic_type, encoding, encoded_message_definition '
            definitions = {
                name: (encoding, text)
                for name, encoding, text in self._database.execute(
                    query + 'FROM message_definitions'
                )
            }
        channels = {}
        for number, topic, kind, encoding, profiles in self._database.execute(
            f'SELECT id, name, type, serialization_format, {qos} FROM topics ORDER BY id'
        ):
            form, text = definitions.get(kind, ('', ''))
            channels[int(number)] = Channel(
                str(topic), str(kind), str(encoding), str(text), str(form), str(profiles or '')
            )
        return channels

    def _count(self) -> tuple[int, int]:
        """Count each channel's messages; return the first and last log time."""
        counts: dict[int, int] = {}
        try:
            query = 'SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id'
            counts = dict(self._database.execute(query))
            query = 'SELECT MIN(timestamp), MAX(timestamp) FROM messages'
            ((start_ns, end_ns),) = self._database.execute(query)
        except sqlite3.DatabaseError as error:
            start_ns, end_ns = self._salvage(error)
            for _, _, topic in self._rows or ():
                counts[topic] = counts.get(topic, 0) + 1
        for number, channel in self.channels.items():
            self.channels[number] = replace(channel, message_count=counts.get(number, 0))
        return int(start_ns or 0), int(end_ns or 0)

    def _salvage(self, error: sqlite3.DatabaseError) -> tuple[int, int]:
        """Find the rows before the damage."""
        rows = []
        try:
            for row in self._database.execute(
                'SELECT timestamp, rowid, topic_id, data FROM messages ORDER BY rowid'
            ):
                rows.append((int(row[0]), int(row[1]), int(row[2])))
        except sqlite3.DatabaseError:
            # Of the last one a part may be missing: what lies beyond the end reads as zeros.
            rows = rows[:-1]
        if not rows:
            raise EmptyPartError(f'{self.path} holds no whole message: {error}') from error
        rows.sort()
        self._rows = rows
        self.is_finished = False
        self.problems.append(
            f'is damaged ({error}): the {len(rows)} messages before the damage are read'
        )
        return rows[0][0], rows[-1][0]


def _bytes(data: Any) -> bytes:
    if not isinstance(data, bytes):
        raise ValueError(f'a message is no blob but {type(data).__name__}')
    return data
