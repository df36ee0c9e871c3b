"""ROS parameters declared from a frozen dataclass: type, default, range and description."""

from __future__ import annotations

import dataclasses
import math
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

from liquid_control.runtime.errors import ConfigError

T = TypeVar('T')

_TYPES = {
    str: Parameter.Type.STRING,
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    tuple[str, ...]: Parameter.Type.STRING_ARRAY,
    tuple[int, ...]: Parameter.Type.INTEGER_ARRAY,
}


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


def guard_parameters(node: Node, cls: type[Any], in_use: Callable[[], bool]) -> None:
    """Refuse at once what could not be used, and what would silently change nothing.

    Args:
        in_use: whether the values have been read, so that those of fixed fields must stay.
    """
    fields = {field.metadata['name'] or field.name: field for field in dataclasses.fields(cls)}

    def check(changed: list[Parameter]) -> SetParametersResult:
        for new in changed:
            field = fields.get(new.name)
            if field is None:
                continue
            problem = _problem(new.name, field, new.value)
            same = node.get_parameter(new.name).value == new.value
            if not problem and field.metadata['fixed'] and in_use() and not same:
                problem = f'{new.name} is read when the node is configured: clean it up first'
            if problem:
                return SetParametersResult(successful=False, reason=problem)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)


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
