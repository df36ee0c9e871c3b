# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters declared from a frozen dataclass: type, default, range and description."""

from __future__ import annotations

import array
import contextlib
import dataclasses
import difflib
import math
import traceback
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterException,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from liquid_control.common.errors import ConfigError, LiquidControlError

T = TypeVar('T')

_TYPES = {
    str: Parameter.Type.STRING,
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    tuple[str, ...]: Parameter.Type.STRING_ARRAY,
    tuple[int, ...]: Parameter.Type.INTEGER_ARRAY,
}

_LISTS = {kind for kind in Parameter.Type if kind.name.endswith('_ARRAY')}
# Declared and read by rclpy itself; the clock, and with it the age of everything, hangs on it.
_SIMULATED_TIME = 'use_sim_time'


def parameter(
    default: Any,
    description: str,
    *,
    range: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    name: str = '',
    fixed: bool = True,
) -> Any:
    """A dataclass field that is a ROS parameter.

    Args:
        range: smallest and largest value, both allowed.
        choices: allowed strings.
        name: the parameter's name where it is not the field's (`realtime.priority`).
        fixed: read once; False for what may be set while running.
    """
    metadata = {
        'description': description + (f' One of: {", ".join(choices)}.' if choices else ''),
        'range': range,
        'choices': choices,
        'name': name,
        'fixed': fixed,
    }
    return dataclasses.field(default=default, metadata=metadata)


def read_parameters(node: Node, cls: type[T]) -> T:
    """Declare every field of the dataclass, where that was not done yet, and read the values.

    Raises:
        ConfigError: a value has the wrong type, lies outside its range or is no allowed choice.
    """
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        name = field.metadata['name'] or field.name
        hint = hints[field.name]
        try:
            if not node.has_parameter(name):
                _declare(node, name, field, hint)
            value = node.get_parameter(name).value
        except InvalidParameterTypeException as error:
            raise ConfigError(
                f'parameter {name} must be of type {_TYPES[hint].name.lower()}: {error}'
            ) from error
        except InvalidParameterValueException as error:
            low, high = field.metadata['range'] or ('', '')
            raise ConfigError(f'parameter {name} must be within {low}..{high}: {error}') from error
        except ParameterException as error:
            raise ConfigError(f'parameter {name}: {error}') from error
        problem = _problem(name, field, value)
        if problem:
            raise ConfigError(problem)
        values[field.name] = tuple(value) if isinstance(field.default, tuple) else value
    return cls(**values)


class DumpedParameters:
    """Beside a node among its base classes: it takes back what `ros2 param dump` wrote of it.

    `ros2 param load` guesses types from the text, and gives values to parameters that must not
    change.
    """

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As rclpy's; what both of its services call, in every distribution."""
        node = typing.cast(Node, self)
        for new in parameter_list:
            if not node.has_parameter(new.name):
                return SetParametersResult(successful=False, reason=_unknown(node, new.name))
        given = [_as_declared(node, new) for new in parameter_list]
        changed = [new for new in given if not _stays(node, new)]
        if given and not changed:
            return SetParametersResult(successful=True)
        return super().set_parameters_atomically(changed)  # type: ignore[misc]


def guard_parameters(
    node: Node,
    cls: type[Any],
    in_use: Callable[[], bool],
    take: Callable[[list[Parameter]], None] = lambda changed: None,
) -> None:
    """Refuse at once what could not be used, and what would silently change nothing.

    Also warns of values that were given at start under names that no parameter has.

    Args:
        in_use: whether the values have been read, so that those of fixed fields must stay.
        take: does what a change asks for, or raises a LiquidControlError: all of it or nothing.
            It comes when everything else has been accepted.
    """
    fields = {field.metadata['name'] or field.name: field for field in dataclasses.fields(cls)}

    def problem(new: Parameter) -> str:
        field = fields.get(new.name)
        fixed = field.metadata['fixed'] if field is not None else new.name == _SIMULATED_TIME
        if field is not None and (text := _problem(new.name, field, new.value)):
            return text
        if fixed and in_use() and not _same(node.get_parameter(new.name).value, new.value):
            return f'{new.name} is read when the node is configured: clean it up first'
        return ''

    def check(changed: list[Parameter]) -> SetParametersResult:
        # rclpy asks the newest callback first and the clock's last, which accepts what got here.
        reason = next((text for new in changed if (text := problem(new))), '')
        if not reason:
            try:
                take(changed)
            except LiquidControlError as error:
                reason = str(error)
            except Exception as error:  # a robot that drives goes on with what it has
                defect = LiquidControlError(f'defect:\n{traceback.format_exc()}')
                node.get_logger().error(str(defect))
                reason = str(LiquidControlError(f'{type(error).__name__}: {error}'))
        return SetParametersResult(successful=not reason, reason=reason)

    node.add_on_set_parameters_callback(check)
    _report_unknown(node)


def _report_unknown(node: Node) -> None:
    """rclpy keeps what nobody declares and says nothing."""
    for name in node._parameter_overrides:
        if not node.has_parameter(name) and not name.startswith('qos_overrides.'):
            node.get_logger().warning(f'{_unknown(node, name)}; its value is ignored')


def _unknown(node: Node, name: str) -> str:
    near = difflib.get_close_matches(name, node.get_parameters_by_prefix(''), n=1)
    return f'there is no parameter {name}' + (f', {near[0]} may be meant' if near else '')


def _stays(node: Node, new: Parameter) -> bool:
    """Whether it gives a read-only parameter the value that it has."""
    same = _same(node.get_parameter(new.name).value, new.value)
    return same and bool(node.describe_parameter(new.name).read_only)


def _as_declared(node: Node, new: Parameter) -> Parameter:
    """The value in the type that the parameter has, where its text could be taken for another."""
    kind = Parameter.Type(node.describe_parameter(new.name).type)
    if kind in _LISTS and new.type_ in _LISTS and not len(new.value):
        return Parameter(new.name, kind, [])
    if kind is Parameter.Type.DOUBLE and new.type_ is Parameter.Type.STRING:
        with contextlib.suppress(ValueError):  # 1e-05 is a number to Python, none to YAML
            return Parameter(new.name, kind, float(new.value))
    return new


def _same(one: Any, other: Any) -> bool:
    """Lists of a message are arrays, which equal no list."""
    lists = (list, tuple, array.array)
    if isinstance(one, lists) and isinstance(other, lists):
        return list(one) == list(other)
    return bool(one == other)


def _problem(name: str, field: dataclasses.Field[Any], value: Any) -> str:
    """What rclpy lets through: NaN, which no comparison refuses, and strings nobody knows."""
    choices = field.metadata['choices']
    if choices and value not in choices:
        return f'parameter {name} must be one of {", ".join(choices)}, found {value!r}'
    if isinstance(value, float) and not math.isfinite(value):
        return f'parameter {name} must be a finite number, found {value}'
    return ''


def _declare(node: Node, name: str, field: dataclasses.Field[Any], hint: Any) -> None:
    if field.default != ():
        node.declare_parameter(name, _to_ros(field.default), _descriptor(field, hint))
        return
    # An empty list does not tell rclpy its type. Left unset, it would hide all other parameters
    # from whoever asks for them together.
    declared = node.declare_parameter(name, _TYPES[hint], _descriptor(field, hint))
    if declared.value is None:
        node.set_parameters([Parameter(name, _TYPES[hint], [])])


def _to_ros(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _descriptor(field: dataclasses.Field[Any], hint: Any) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        type=_TYPES[hint].value,
        description=field.metadata['description'],
        read_only=False,
    )
    if field.metadata['range'] is not None:
        low, high = field.metadata['range']
        if hint is int:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
    return descriptor
