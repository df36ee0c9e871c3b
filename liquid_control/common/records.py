# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Strict reading of dataclasses from plain mappings (YAML, parameters).

Every mistake is named by its path: `policy.yaml: image.crop must be a list of 4 int, found 3`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from liquid_control.common.errors import LiquidControlError

T = TypeVar('T')

MAX_SHOWN = 80  # characters of a wrong value in a message


def read_record(cls: type[T], document: Any, *, where: str, error: type[LiquidControlError]) -> T:
    """Build dataclass `cls` from a mapping.

    Args:
        where: how messages name the document, e.g. 'policy.yaml'.
        error: what to raise for a missing, unknown or wrongly typed field.
    """
    if not isinstance(document, dict):
        raise error(f'{where}: expected a mapping, found {type(document).__name__}')
    hints = typing.get_type_hints(cls)
    fields = {entry.name: entry for entry in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(str(key) for key in document if key not in fields)
    if unknown:
        raise error(f'{where}: unknown field {_shown(unknown[0])}; known are {", ".join(fields)}')
    missing = [
        name
        for name, entry in fields.items()
        if name not in document
        and entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise error(f'{where}: field {missing[0]} is missing')
    values = {
        name: _read_value(hints[name], value, f'{where}: {name}', error)
        for name, value in document.items()
    }
    try:
        return cls(**values)
    except LiquidControlError as problem:
        raise error(f'{where}: {problem}') from problem


def _read_value(hint: Any, value: Any, where: str, error: type[LiquidControlError]) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (kind for kind in arguments if kind is not type(None))
        return _read_value(hint, value, where, error)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast(type, hint)):
            return value  # read already, by who knows better
        return read_record(typing.cast(type, hint), value, where=where, error=error)
    if origin is tuple:
        return _read_tuple(arguments, value, where, error)
    if origin is dict:
        if not isinstance(value, dict):
            raise error(f'{where} must be a mapping, found {_shown(value)}')
        item = arguments[1]
        return {
            str(key): entry if item is Any else _read_value(item, entry, f'{where}.{key}', error)
            for key, entry in value.items()
        }
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise error(f'{where} is too large for a float') from None
    if hint is Any:
        return value
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise error(f'{where} must be a {hint.__name__}, found {_shown(value)}')
    return value


def _read_tuple(
    arguments: tuple[Any, ...], value: Any, where: str, error: type[LiquidControlError]
) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise error(f'{where} must be a list, found {_shown(value)}')
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise error(f'{where} must have {len(arguments)} entries, found {len(value)}')
    return tuple(
        _read_value(kind, item, f'{where}[{index}]', error)
        for index, (kind, item) in enumerate(zip(arguments, value, strict=True))
    )


def _shown(value: Any) -> str:
    """Short, whatever it is: it may be any document at all."""
    text = value if isinstance(value, str) and value.isidentifier() else repr(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + '…'
