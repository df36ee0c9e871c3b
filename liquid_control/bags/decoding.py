# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Decodes messages by the definition that came with them, or by the one known here.

A definition that cannot be read costs the messages of its type, not the bag.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from liquid_control.bags import definitions
from liquid_control.bags.errors import DefinitionError
from liquid_control.bags.parts import Channel

# A message whose first field is a header or a stamp has its time at bytes 4 to 12, in CDR (after
# the encapsulation) as well as in ROS 1 (after the header's sequence number).
_STAMP_OFFSET = 4
_STAMP_OFFSETS = {
    ('header', 'std_msgs/msg/Header'): {'cdr': _STAMP_OFFSET, 'ros1': _STAMP_OFFSET},
    ('stamp', 'builtin_interfaces/msg/Time'): {'cdr': _STAMP_OFFSET, 'ros1': 0},
}
STAMP = struct.Struct('<iI')
# Elements that need no bytes could be any number of them.
_MAX_ELEMENTS = 10_000_000
_MAX_DEPTH = 30
_IDL_SEPARATOR = '=' * 80 + '\n'


def msgtype_of(channel: Channel) -> str:
    """Full name `package/msg/Name` of a channel's type, '' where ROS has no such messages."""
    package, _, name = channel.msgtype.rpartition('/')
    package = package.removesuffix('/msg')
    if channel.encoding not in ('cdr', 'ros1') or not package or not name:
        return ''
    return f'{package}/msg/{name}'


class Decoder:
    """Decodes one channel's messages; the definition is read when the first one is wanted."""

    def __init__(self, channel: Channel) -> None:
        self.is_ros1 = channel.encoding == 'ros1'
        self.msgtype = msgtype_of(channel)
        self._channel = channel
        self._decode: Callable[[bytes, str], Any] | None = None

    def __call__(self, raw: bytes) -> Any:
        """Return the message; damage can make rosbags raise anything."""
        if self._decode is None:
            store = self._store()
            self._decode = store.deserialize_ros1 if self.is_ros1 else store.deserialize_cdr
        return self._decode(raw, self.msgtype)

    def stamp_offset(self) -> int | None:
        """Where in a message its stamp lies, None where it has none."""
        try:
            _, fields = self._store().fielddefs[self.msgtype]
        except DefinitionError:
            return None
        if not fields:
            return None
        name, (kind, detail) = fields[0]
        offsets = _STAMP_OFFSETS.get((name, str(detail)), {}) if kind == Nodetype.NAME else {}
        return offsets.get(self._channel.encoding)

    def to_cdr(self, raw: bytes) -> bytes:
        """Return the message as ROS 2 sends it."""
        if not self.is_ros1:
            return raw
        return bytes(definitions.standard_types().ros1_to_cdr(raw, self.msgtype))

    def _store(self) -> Typestore:
        channel = self._channel
        return _typestore(self.msgtype, channel.definition_format, channel.definition)


@lru_cache(maxsize=256)
def _typestore(msgtype: str, form: str, text: str) -> Typestore:
    """Types by a definition, or else by what is known here; raises DefinitionError."""
    problem = ''
    try:
        if text.strip() or not _is_known(msgtype):
            store = get_typestore(Stores.EMPTY)
            store.register(_types(msgtype, form, text))
            if _elements(store, msgtype, ()) > _MAX_ELEMENTS:
                raise ValueError(f'one message has more than {_MAX_ELEMENTS} elements')
            # What it uses must be there too; what has no definition shows only now.
            store.get_msgdef(msgtype)
            store.max_sequence_length = _MAX_ELEMENTS
            return store
    except Exception as error:  # a hostile definition can make rosbags raise anything
        problem = str(error) or type(error).__name__
    try:
        return definitions.typestore(msgtype)
    except Exception as error:
        raise DefinitionError(
            f'the recording has no definition of {msgtype} that can be read '
            f'({problem or error}): source the workspace that has it'
        ) from error


def _is_known(msgtype: str) -> bool:
    return msgtype in definitions.standard_types().fielddefs


def _elements(store: Typestore, msgtype: str, within: tuple[str, ...]) -> int:
    """How many objects one message is at least; raises ValueError where a type holds itself."""
    if msgtype in within or len(within) > _MAX_DEPTH:
        raise ValueError(f'{msgtype} holds itself')
    count = 1
    fields: Any = store.fielddefs[msgtype][1]
    for _, (kind, detail) in fields:
        length = 1
        if kind == Nodetype.ARRAY:
            (kind, detail), length = detail
            length = length if kind == Nodetype.NAME or 'string' in str(detail) else 1
        elif kind == Nodetype.SEQUENCE:
            continue
        each = _elements(store, str(detail), (*within, msgtype)) if kind == Nodetype.NAME else 1
        count += length * each
        if count > _MAX_ELEMENTS:
            break
    return count


def _types(msgtype: str, form: str, text: str) -> Any:
    if not text.strip():
        raise ValueError('it is empty')
    if form in ('ros2msg', 'ros1msg'):
        return get_types_from_msg(text, msgtype)
    if form not in ('ros2idl', 'omgidl'):
        raise ValueError(f'it is written in {form[:40]!r}')
    if not text.startswith(f'{_IDL_SEPARATOR}IDL: '):
        return get_types_from_idl(text)
    types: dict[str, Any] = {}
    for part in text.split(_IDL_SEPARATOR)[1:]:
        types.update(get_types_from_idl(part.partition('\n')[2]))
    return types
