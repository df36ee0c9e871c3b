# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Messages from plain values, serialised without ROS."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

from liquid_control.bags.definitions import typestore
from liquid_control.common.stamps import split_ns

_TIME = 'builtin_interfaces/msg/Time'
_HEADER = 'std_msgs/msg/Header'
_DTYPES = {'bool': 'bool', 'byte': 'uint8', 'char': 'uint8'}


def serialize(msgtype: str, values: Mapping[str, Any], stamp_ns: int) -> bytes:
    """Return the CDR bytes of a message.

    Args:
        msgtype: Full name such as `sensor_msgs/msg/Imu`.
        values: Field values, nested mappings for nested messages. Fields left out are zero, empty
            or false, as in a newly made ROS message; a header's stamp left out is `stamp_ns`.
        stamp_ns: Time of the message in nanoseconds.

    Raises:
        ValueError: `values` names a field that the type has not.
    """
    store = typestore(msgtype)
    if dict(store.fielddefs[msgtype][1]).get('header') == (Nodetype.NAME, _HEADER):
        sec, nanosec = split_ns(stamp_ns)
        stamp = {'stamp': {'sec': sec, 'nanosec': nanosec}}
        values = {**values, 'header': {**stamp, **values.get('header', {})}}
    return bytes(store.serialize_cdr(_build(store, msgtype, values), msgtype))


def _build(store: Typestore, msgtype: str, values: Mapping[str, Any]) -> object:
    fields = store.fielddefs[msgtype][1]
    unknown = values.keys() - {name for name, _ in fields}
    if unknown:
        raise ValueError(f'{msgtype} has no field {sorted(unknown)}')
    return store.types[msgtype](
        **{name: _field(store, description, values.get(name)) for name, description in fields}
    )


def _field(store: Typestore, description: Any, value: Any) -> Any:
    """Return a field's value in the form rosbags serialises; `value` None means the default."""
    kind, detail = description
    if kind == Nodetype.NAME:
        return _build(store, detail, {} if value is None else value)
    if kind == Nodetype.BASE:
        name = detail[0]
        default: Any = '' if name.endswith('string') else name == 'bool' and False
        return default if value is None else value
    element, length = detail
    if element[0] == Nodetype.NAME or element[1][0].endswith('string'):
        items = [None] * (length if kind == Nodetype.ARRAY else 0) if value is None else value
        return [_field(store, element, item) for item in items]
    dtype = _DTYPES.get(element[1][0], element[1][0])
    if value is None:
        return np.zeros(length if kind == Nodetype.ARRAY else 0, dtype)
    if isinstance(value, bytes | bytearray | memoryview):
        return np.frombuffer(value, dtype)
    return np.ascontiguousarray(value, dtype).reshape(-1)
