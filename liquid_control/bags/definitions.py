# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Message definitions and their hashes, from the ROS installation or, without one, from rosbags.

A bag embeds the definition of every type in it, so that it can be read where the type is not
installed.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from liquid_control.bags.errors import DefinitionError

# Types used by a message are appended to its definition, each after this line and a MSG: line.
_SEPARATOR = '=' * 80

_BUILTIN = re.compile(r'(?:bool|byte|char|w?string|float(?:32|64)|u?int(?:8|16|32|64))')
_FIELD_TYPE = re.compile(r'^\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[(?:<=)?\d*\])?\s+[A-Za-z]')


@dataclass(frozen=True)
class Definition:
    """A message type as bags carry it.

    Attributes:
        msgtype: Full name, `package/msg/Name`.
        text: Definition and, appended, those of all types it uses (MCAP's `ros2msg` encoding).
        type_hash: `RIHS01_…`, by which ROS 2 tells versions of a type apart (REP-2016).
    """

    msgtype: str
    text: str
    type_hash: str


@cache
def definition(msgtype: str) -> Definition:
    """Return the definition of a message type such as `sensor_msgs/msg/Imu`.

    Raises:
        DefinitionError: The type is neither in a sourced ROS workspace nor known to rosbags.
    """
    if _installed(msgtype, '.msg') is None:
        store = standard_types()
        if msgtype not in store.fielddefs:
            raise DefinitionError(
                f'no definition of {msgtype} found: source the workspace that has it '
                f'(AMENT_PREFIX_PATH={os.environ.get("AMENT_PREFIX_PATH", "")!r})'
            )
        text, _ = store.generate_msgdef(msgtype, ros_version=2)
        return Definition(msgtype, text, store.hash_rihs01(msgtype))
    text = _with_dependencies(msgtype)
    return Definition(msgtype, text, _installed_hash(msgtype) or _computed_hash(msgtype, text))


@cache
def standard_types() -> Typestore:
    """Return the types of a ROS 2 desktop installation, as rosbags ships them."""
    return get_typestore(Stores.ROS2_JAZZY)


@cache
def typestore(msgtype: str) -> Typestore:
    """Return a store that serialises and decodes `msgtype`, in the version installed here."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition(msgtype).text, msgtype))
    return store


def _installed(msgtype: str, suffix: str) -> str | None:
    """Return the text of a type's file in the sourced workspaces, the innermost one first."""
    package, _, name = msgtype.split('/')
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    # ROS installed from wheels lies in the virtual environment itself.
    for prefix in [*filter(None, prefixes), sys.prefix]:
        path = Path(prefix, 'share', package, 'msg', name + suffix)
        if path.is_file():
            return path.read_text(encoding='utf-8')
    return None


def _installed_hash(msgtype: str) -> str | None:
    description = _installed(msgtype, '.json')
    if description is None:  # ROS 2 Humble has no type hashes
        return None
    hashes: list[dict[str, str]] = json.loads(description)['type_hashes']
    return next((h['hash_string'] for h in hashes if h['type_name'] == msgtype), None)


def _computed_hash(msgtype: str, text: str) -> str:
    try:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(text, msgtype))
        return store.hash_rihs01(msgtype)
    except TypesysError as error:
        raise DefinitionError(f'definition of {msgtype} cannot be parsed: {error}') from error


def _with_dependencies(msgtype: str) -> str:
    seen: dict[str, str] = {}
    todo = [msgtype]
    while todo:
        current = todo.pop(0)
        if current in seen:
            continue
        text = _installed(current, '.msg')
        if text is None:
            raise DefinitionError(
                f'{msgtype} uses {current}, which no sourced workspace has: install its package'
            )
        seen[current] = text.rstrip('\n') + '\n'
        todo.extend(_uses(text, current.split('/')[0]))
    main = seen.pop(msgtype)
    appended = (
        f'{_SEPARATOR}\nMSG: {name.replace("/msg/", "/")}\n{text}' for name, text in seen.items()
    )
    return ''.join([main, *appended])


def _uses(text: str, package: str) -> Iterator[str]:
    """Yield the full names of the message types that the fields of a definition have."""
    for line in text.splitlines():
        field = _FIELD_TYPE.match(line.split('#', 1)[0])
        if field is None or _BUILTIN.fullmatch(field[1]):
            continue
        parts = field[1].split('/')
        yield f'{parts[0] if len(parts) > 1 else package}/msg/{parts[-1]}'
