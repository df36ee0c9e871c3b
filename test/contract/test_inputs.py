# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of inputs: what each kind writes it reads again, and nothing else gets through."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.input_messages import LIMITS, STAMP, odometry_message, read

from liquid_control.common.cdr import Writer
from liquid_control.common.errors import BundleError, SensorError
from liquid_control.contract.inputs import (
    KINDS,
    GoalSpec,
    ImageSpec,
    ImuSpec,
    InputSpec,
    JointsSpec,
    MovingSpec,
    RangeSpec,
    Reader,
    ScanSpec,
    SpeedSpec,
    VectorSpec,
    VelocitySpec,
    plain_inputs,
    read_inputs,
)

SPECS: dict[str, InputSpec] = {
    'image': ImageSpec(
        **LIMITS, width=4, height=2, source_width=8, source_height=6, crop=(0, 2, 8, 4), features=3
    ),
    'imu': ImuSpec(**LIMITS),
    'imu with orientation': ImuSpec(**LIMITS, orientation=True),
    'speed': SpeedSpec(**LIMITS),
    'velocity': VelocitySpec(**LIMITS),
    'goal': GoalSpec(**LIMITS),
    'goal with height': GoalSpec(**LIMITS, height=True),
    'scan': ScanSpec(**LIMITS, sectors=12, near=0.1, far=6.0, features=8),
    'scan ahead': ScanSpec(**LIMITS, sectors=5, far=6.0, field_of_view=2.0, features=8),
    'moving': MovingSpec(**LIMITS, sectors=12, far=6.0, features=8),
    'range': RangeSpec(**LIMITS, near=0.02, far=4.0),
    'joints': JointsSpec(**LIMITS, joints=('shoulder', 'elbow')),
    'vector': VectorSpec(**LIMITS, length=3, units=('m', 'm', '1'), low=-5.0, high=50.0),
    'positions': JointsSpec(**LIMITS, joints=('elbow',), velocities=False),
}


def values(spec: InputSpec, rng: np.random.Generator) -> NDArray[Any]:
    """Anything plausible."""
    if spec.kind == 'image':
        return rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    low, high = (bound.astype(float) for bound in spec.plausible)
    value = rng.choice([low, high, rng.uniform(low, high), 0 * low])
    value = np.clip(value, low, high).astype(np.float32)
    if spec.kind == 'goal':
        bearing = rng.uniform(-math.pi, math.pi)
        value[1:3] = math.cos(bearing), math.sin(bearing)
        value[0] = rng.uniform(0.1, 1e4)
    if spec.width == 10:  # the IMU's quaternion
        turned = rng.normal(size=4)
        value[6:] = np.copysign(1, turned[3]) * turned / np.linalg.norm(turned)
    return value


def reader_of(spec: InputSpec) -> Reader:
    """One that has what it compares with."""
    reader = spec.reader()
    if isinstance(spec, MovingSpec):
        before = STAMP - round(spec.over * 1e9)
        assert read(spec, spec.write(np.zeros(spec.width), before), reader) is None
    return reader


def test_every_kind_of_the_table_is_tried_here() -> None:
    assert {spec.kind for spec in SPECS.values()} == set(KINDS)


@pytest.mark.parametrize('name', SPECS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_a_kind_writes_it_reads_again(name: str, seed: int) -> None:
    spec = SPECS[name]
    value = values(spec, np.random.default_rng(seed))
    messages = spec.write(value, STAMP, 'somewhere')
    sources = {source.role: source for source in spec.sources(spec.kind)}
    assert messages.keys() == sources.keys()
    for role, (msgtype, _) in messages.items():
        assert msgtype in sources[role].topics()
    found = read(spec, messages, reader_of(spec))
    assert found is not None
    assert found.stamp_ns == (None if spec.kind == 'vector' else STAMP), 'by its arrival'
    assert found.value.dtype == value.dtype
    np.testing.assert_allclose(
        found.value, value, rtol=1e-5, atol=1e-5 * (spec.kind in ('goal', 'moving'))
    )
    assert spec.refusal(found.value) == ''


@pytest.mark.parametrize('name', SPECS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bytes_of_any_kind_are_read_or_refused(name: str, data: st.DataObject) -> None:
    spec = SPECS[name]
    reader = reader_of(spec)
    messages = spec.write(values(spec, np.random.default_rng(0)), STAMP)
    for role, (msgtype, message) in messages.items():
        random = b'\0\1\0\0' + data.draw(st.binary(max_size=200))
        bad = bytearray(message[: data.draw(st.integers(0, len(message)))])
        for _ in range(data.draw(st.integers(0, 4))):
            if bad:
                at = data.draw(st.integers(0, len(bad) - 1))
                new = data.draw(st.binary(min_size=1, max_size=8))
                bad[at : at + len(new)] = new
        try:
            reading = reader.take(
                role,
                data.draw(st.sampled_from([message, bytes(bad), random, random[4:]])),
                msgtype,
            )
        except SensorError:
            continue
        assert reading is None or isinstance(spec.refusal(reading.value), str)


@pytest.mark.parametrize('name', [name for name in SPECS if name != 'image'])
def test_values_that_cannot_be_are_refused_by_name_of_the_element(name: str) -> None:
    spec = SPECS[name]
    middle = sum(spec.plausible) / 2
    for index, element in enumerate(spec.elements()):
        for wrong, why in ((np.nan, 'not finite'), (np.inf, 'not finite'), (1e9, 'absurd')):
            value = middle.copy()
            value[index] = wrong
            assert spec.refusal(value).startswith(f'{why}: {element.name} is')
    assert spec.refusal(middle) == ''
    assert spec.refusal(middle[1:]) == f'{spec.width - 1} values instead of {spec.width}'


@pytest.mark.parametrize('name', SPECS)
def test_a_contract_tells_a_kind_and_reads_it_again(name: str) -> None:
    inputs = {'front': SPECS[name]}
    found = read_inputs(plain_inputs(inputs), where='inputs', error=BundleError)
    assert found == inputs
    assert type(found['front']) is type(SPECS[name])


def _plain(name: str, **changed: Any) -> dict[str, Any]:
    return {'front': {**plain_inputs({'front': SPECS[name]})['front'], **changed}}


@pytest.mark.parametrize(
    ('document', 'message'),
    [
        ({}, 'inputs: inputs must be within 1..16, found 0'),
        ([], 'inputs must be a mapping of names, found list'),
        ({'state': _plain('imu')['front']}, "found 'state'"),
        ({'Front': _plain('imu')['front']}, "found 'Front'"),
        ({'front': 3}, 'inputs.front must be a mapping, found int'),
        (_plain('imu', kind='sonar'), "inputs.front: kind must be one of image, imu, .* 'sonar'"),
        (_plain('imu', colour='red'), 'inputs.front: unknown field colour'),
        (_plain('imu', max_age=3.0), 'inputs.front: imu: max_age must be within 0.001..2'),
        (_plain('imu', rate=math.nan), 'imu: rate must be within'),
        (_plain('imu', acceleration_scale=0.0), 'imu: acceleration_scale must be within'),
        (_plain('speed', scale=-1.0), 'speed: scale must be within'),
        (_plain('imu', topic='/imu'), "imu: topic must be a relative name .* found '/imu'"),
        (_plain('goal', goal_topic='a b'), "goal: topic must be a relative name .* found 'a b'"),
        (_plain('image', crop=[0, 0, 9, 4]), 'image: crop .* must lie within'),
        (_plain('scan', sectors=0), 'scan: sectors must be within'),
        (_plain('scan', near=6.0), 'scan: near must be below far'),
        (_plain('scan', field_of_view=7.0), 'scan: field_of_view must be within'),
        (_plain('moving', over=0.0), 'moving: over must be within'),
        (_plain('moving', odom_topic='/odom'), 'moving: topic must be a relative name'),
        (_plain('range', far=math.inf), 'range: far must be within'),
        (_plain('vector', units=['m']), 'vector: units must be none or 3 short words'),
        (_plain('vector', low=math.nan), 'vector: low must be below high, both finite'),
        (_plain('joints', joints=[]), 'joints: joints must be within 1..64, found 0'),
        (_plain('joints', joints=['a', 'a']), 'joints: a name comes twice'),
        (_plain('joints', positions=False, velocities=False), 'positions or velocities'),
    ],
)
def test_inputs_that_cannot_be_are_refused_in_one_line(document: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message) as refused:
        read_inputs(document, where='inputs', error=BundleError)
    assert '\n' not in str(refused.value)


def test_topics_follow_the_name_and_the_contract() -> None:
    def topics(spec: InputSpec, name: str) -> list[str]:
        return [topic for source in spec.sources(name) for topic in source.topics().values()]

    assert topics(SPECS['image'], 'image') == ['image_raw', 'image_raw/compressed']
    assert topics(SPECS['image'], 'rear') == ['rear/image_raw', 'rear/image_raw/compressed']
    assert topics(SPECS['goal'], 'target') == ['goal_pose', 'goal_pose/point', 'odom']
    assert topics(SPECS['moving'], 'people') == ['scan', 'odom']
    assert topics(SPECS['range'], 'left') == ['left/range']
    assert topics(
        ScanSpec(**LIMITS, sectors=3, far=1.0, features=2, topic='rear/scan'), 'scan'
    ) == ['rear/scan']


# What is particular to a kind.


def goal_message(frame: str, x: float, y: float, z: float = 0.0) -> dict[str, tuple[str, bytes]]:
    message = Writer()
    message.header(STAMP, frame)
    message.put('d', x, y, z)
    return {'goal': ('geometry_msgs/msg/PointStamped', message.done())}


def test_a_goal_is_seen_from_the_robot() -> None:
    spec = SPECS['goal with height']
    reader = spec.reader()
    assert read(spec, odometry_message(1.0, 2.0, 0.0), reader) is None, 'no goal, no reading'
    read(spec, goal_message('odom', 1.0, 6.0, 2.0), reader)
    found = read(spec, odometry_message(1.0, 2.0, math.pi / 2), reader)
    np.testing.assert_allclose(found.value, [4.0, 1.0, 0.0, 1.5], atol=1e-6)
    later = read(spec, odometry_message(1.0, 2.0, 0.0, STAMP + 1), reader)
    np.testing.assert_allclose(later.value, [4.0, 0.0, 1.0, 1.5], atol=1e-6)
    assert later.stamp_ns == STAMP + 1, 'as old as the odometry, whatever the age of the goal'
    there = read(spec, odometry_message(1.0, 6.0, 0.3), reader)
    np.testing.assert_allclose(there.value[:3], [0.0, 1.0, 0.0], atol=1e-6)


def test_a_goal_that_cannot_be_used_ends_the_one_before() -> None:
    spec, reader = SPECS['goal'], SPECS['goal'].reader()
    read(spec, goal_message('odom', 1.0, 0.0), reader)
    read(spec, goal_message('map', 1.0, 0.0), reader)
    with pytest.raises(SensorError, match="frame 'map', odometry in 'odom'"):
        read(spec, odometry_message(0.0, 0.0, 0.0), reader)
    read(spec, goal_message('/odom', 1.0, 0.0), reader)
    assert read(spec, odometry_message(0.0, 0.0, 0.0), reader) is not None
    with pytest.raises(SensorError, match='goal is not finite'):
        read(spec, goal_message('odom', math.nan, 0.0), reader)
    assert read(spec, odometry_message(0.0, 0.0, 0.0), reader) is None


def scan_message(
    ranges: list[float], first: float, step: float, longest: float = 10.0
) -> dict[str, tuple[str, bytes]]:
    message = Writer()
    message.header(STAMP, 'laser')
    message.put('f', first, first + step * (len(ranges) - 1), step, 0.0, 0.0, 0.05, longest)
    message.floats(ranges)
    message.floats(())
    return {'': ('sensor_msgs/msg/LaserScan', message.done())}


def test_a_sector_is_its_nearest_return() -> None:
    spec = ScanSpec(**LIMITS, sectors=4, near=0.1, far=6.0, features=2)
    ranges = [5.0, 2.0, 7.0, math.inf, math.nan, 3.0, -math.inf, 1.0]
    forward = read(spec, scan_message(ranges, -math.pi + 0.1, math.pi / 4))
    np.testing.assert_allclose(forward.value, [2.0, 6.0, 3.0, 0.1], rtol=1e-6)
    # The same beams of a scanner that counts from 0 to a whole turn, or hangs upside down.
    turned = read(spec, scan_message(ranges[4:] + ranges[:4], 0.1, math.pi / 4))
    np.testing.assert_array_equal(turned.value, forward.value)
    down = read(spec, scan_message(ranges[::-1], 0.1 + 3 * math.pi / 4, -math.pi / 4))
    np.testing.assert_array_equal(down.value, forward.value)
    # A beam between two sectors belongs to the same one however its angle is rounded.
    edges = [read(spec, scan_message(ranges, -math.pi + off, math.pi / 4)) for off in (-4e-7, 0)]
    np.testing.assert_array_equal(edges[0].value[1:], edges[1].value[1:])
    zero = read(spec, scan_message([0.0, 0.01] * 4, -math.pi + 0.1, math.pi / 4))
    np.testing.assert_allclose(zero.value, 0.1)


@pytest.mark.parametrize(
    ('message', 'why'),
    [
        (scan_message([1.0] * 8, -1.0, 0.1), 'leave sector 0 of 4 without any'),
        (scan_message([math.nan] * 8, -3.0, math.pi / 4), 'sector 0 of 4 has no valid range'),
        (scan_message([1.0] * 8, -3.0, math.pi / 4, 0.0), 'range_max must be above range_min'),
        (scan_message([1.0] * 8, math.nan, 0.1), 'angles are not finite'),
        (scan_message([], 0.0, 0.1), '0 beams'),
    ],
)
def test_a_scan_that_does_not_tell_enough_is_refused(message: Any, why: str) -> None:
    spec = ScanSpec(**LIMITS, sectors=4, near=0.1, far=6.0, features=2)
    with pytest.raises(SensorError, match=why):
        read(spec, message)


def joints_message(names: list[str], positions: list[float]) -> dict[str, tuple[str, bytes]]:
    message = Writer()
    message.header(STAMP, '')
    message.strings(names)
    message.doubles(positions)
    message.doubles(positions)
    message.doubles(())
    return {'': ('sensor_msgs/msg/JointState', message.done())}


def test_joints_are_found_by_name_wherever_they_are() -> None:
    spec, reader = SPECS['joints'], SPECS['joints'].reader()
    for names, positions in (
        (['wrist', 'elbow', 'shoulder'], [1.0, 2.0, 3.0]),
        (['wrist', 'elbow', 'shoulder'], [4.0, 5.0, 6.0]),
        (['shoulder', 'elbow'], [8.0, 7.0]),
    ):
        found = read(spec, joints_message(names, positions), reader)
        wanted = [positions[names.index(name)] for name in ('shoulder', 'elbow')] * 2
        np.testing.assert_array_equal(found.value, np.float32(wanted))
    with pytest.raises(SensorError, match='no joint shoulder in the message, which has gripper'):
        read(spec, joints_message(['gripper'], [1.0]), reader)
    with pytest.raises(SensorError, match='1 positions of 2 joints'):
        read(spec, joints_message(['shoulder', 'elbow'], [1.0]), reader)


def test_an_input_says_what_one_unit_of_it_is_to_the_network() -> None:
    imu = ImuSpec(**LIMITS, acceleration_scale=2.0, angular_velocity_scale=0.03)
    assert [element.scale for element in imu.elements()] == [2.0] * 3 + [0.03] * 3
    assert SpeedSpec(**LIMITS, scale=40.0).elements()[0].scale == 40.0


def test_an_imu_without_orientation_serves_only_who_needs_none() -> None:
    plain, oriented = SPECS['imu'], SPECS['imu with orientation']
    value = np.arange(6, dtype=np.float32)
    messages = plain.write(value, STAMP)
    np.testing.assert_array_equal(read(plain, messages).value, value)
    with pytest.raises(SensorError, match='measures no orientation'):
        read(oriented, messages)
