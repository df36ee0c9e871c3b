# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of commands: what there is, what goes together, and what it is on the wire."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.contract.commands import AXES, axis_of, check_together
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.wire import FORMS, check_carried, unused, vector

WHEELBASE = 0.325


def space(*names: str) -> Any:
    return SimpleNamespace(**dict.fromkeys(names, 0.0))


def twist() -> Any:
    return SimpleNamespace(linear=space('x', 'y', 'z'), angular=space('x', 'y', 'z'))


BLANK = {
    'twist': twist,
    'twist_stamped': lambda: SimpleNamespace(twist=twist()),
    'ackermann': lambda: SimpleNamespace(drive=space('steering_angle', 'speed')),
    'float64_multi_array': lambda: SimpleNamespace(data=[]),
}
VECTORS = [
    ('steering_angle', 'speed'),
    ('steering', 'throttle'),
    ('yaw_rate', 'speed'),
    ('velocity_x', 'yaw_rate'),
    ('velocity_x', 'velocity_y', 'yaw_rate'),
    ('velocity_x', 'velocity_y', 'velocity_z', 'yaw_rate'),
    ('velocity_z', 'roll_rate', 'pitch_rate', 'yaw_rate'),
    ('shoulder/position', 'elbow/position'),
    ('left_wheel/velocity', 'right_wheel/velocity'),
]


@pytest.mark.parametrize('form', BLANK)
@pytest.mark.parametrize('names', VECTORS, ids=' '.join)
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_is_sent_is_what_is_heard(form: str, names: tuple[str, ...], data: Any) -> None:
    carried = FORMS[form].carries(names) and set(FORMS[form].whole) <= set(names)
    if not carried:
        if not FORMS[form].carries(names):
            with pytest.raises(ConfigError, match='cannot tell'):
                check_carried('a topic', FORMS[form], names)
        return
    angles = st.floats(-1.2, 1.2)
    values = {name: data.draw(angles) for name in names}
    if 'steering_angle' in values and form.startswith('twist'):
        values['speed'] = math.copysign(abs(values['speed']) + 0.1, values['speed'])
    message = BLANK[form]()
    FORMS[form].write(message, values, WHEELBASE)
    told = FORMS[form].read(message, names)
    assert vector(told, names, WHEELBASE) == pytest.approx(tuple(values.values()), abs=1e-9)


def test_each_axis_of_a_twist_has_its_own_place() -> None:
    names = ('velocity_x', 'velocity_y', 'velocity_z', 'roll_rate', 'pitch_rate', 'yaw_rate')
    message = twist()
    FORMS['twist'].write(message, dict(zip(names, range(1, 7), strict=True)), None)
    linear, angular = message.linear, message.angular
    assert (linear.x, linear.y, linear.z) == (1, 2, 3)
    assert (angular.x, angular.y, angular.z) == (4, 5, 6)


def test_a_twist_without_speed_says_no_steering_angle() -> None:
    told = FORMS['twist'].read(twist(), ())
    assert math.isnan(vector(told, ('steering_angle',), WHEELBASE)[0])


def test_metres_per_second_are_no_throttle() -> None:
    told = FORMS['ackermann'].read(SimpleNamespace(drive=space('steering_angle', 'speed')), ())
    assert all(map(math.isnan, vector(told, ('steering', 'throttle'), WHEELBASE)))


def test_an_array_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match='3 numbers where 2 are commanded'):
        FORMS['float64_multi_array'].read(SimpleNamespace(data=[0.0] * 3), VECTORS[-1])


@pytest.mark.parametrize(
    'names',
    [
        *VECTORS,
        ('steering_angle',),
        ('yaw_rate',),
        ('velocity_z',),
        ('speed', 'yaw_rate'),
    ],
    ids=' '.join,
)
def test_robots_that_there_are_may_be_commanded(names: tuple[str, ...]) -> None:
    check_together(names)


@pytest.mark.parametrize(
    'names',
    [
        (),
        ('speed',),
        ('speed', 'speed'),
        ('steering_angle', 'yaw_rate'),
        ('steering_angle', 'speed', 'throttle'),
        ('steering_angle', 'velocity_x'),
        ('speed', 'yaw_rate', 'velocity_y'),
        ('yaw_rate', 'elbow/position'),
    ],
    ids=' '.join,
)
def test_what_no_robot_takes_at_once_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match='commands'):
        check_together(names)


@pytest.mark.parametrize('name', ['velocity', 'elbow/effort', '/position', 'a b/velocity', ''])
def test_an_unknown_command_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match='there are velocity_x'):
        axis_of(name)


@pytest.mark.parametrize(
    ('name', 'unit', 'high', 'message'),
    [
        ('speed', 'm/s', 1e3, 'within -150..150'),
        ('steering_angle', 'rad', 3.2, 'within'),
        ('throttle', '1', 2.5, 'within -2..2'),
        ('elbow/position', 'rad', 1e4, 'within'),
        ('velocity_y', 'rad/s', 1.0, 'unit must be m/s'),
        ('elbow/position', 'deg', 1.0, 'unit must be rad or m'),
    ],
)
def test_a_range_or_unit_that_no_robot_has_is_refused(
    name: str, unit: str, high: float, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        CommandSpec(name, unit, -0.1, high)


@pytest.mark.parametrize(
    ('name', 'stop', 'mirrors'),
    [
        ('velocity_x', 'zero', False),
        ('velocity_y', 'zero', True),
        ('velocity_z', 'zero', False),
        ('yaw_rate', 'zero', True),
        ('steering_angle', 'hold', True),
        ('steering', 'hold', True),
        ('throttle', 'zero', False),
        ('elbow/position', 'hold', None),
        ('wheel/velocity', 'zero', None),
    ],
)
def test_each_axis_has_its_stop_and_its_mirror_image(
    name: str, stop: str, mirrors: bool | None
) -> None:
    axis = axis_of(name)
    assert (axis.stop, axis.mirrors) == (stop, mirrors)


def test_bounds_are_those_of_robots() -> None:
    assert all(axis.low == -axis.high and axis.high <= 150 for axis in AXES.values())


def test_what_a_message_asks_for_in_vain_is_named() -> None:
    told = {'velocity_x': 1.0, 'velocity_y': 0.1, 'velocity_z': 0.0, 'yaw_rate': -0.2}
    assert unused(told, ('steering_angle', 'speed')) == ['velocity_y']
    assert unused(told, ('velocity_x', 'velocity_y', 'velocity_z')) == ['yaw_rate']
