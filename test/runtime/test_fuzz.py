# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Hostile input: 100,000 broken or malicious messages never move the robot wrongly."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bundles import make_bundle

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.image import ENCODINGS
from liquid_control.contract.modes import Mode
from liquid_control.contract.robot import CommandLimits, Robot
from liquid_control.runtime.control.controller import Controller
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.inference.policy import Policy

EXAMPLES, MESSAGES = 200, 500  # together 100,000

STEERING, SPEED = CommandLimits(-0.4, 0.4, max_rate=2.0), CommandLimits(0.0, 1.5, max_rate=2.0)
ROBOT = Robot('car', {'steering_angle': STEERING, 'speed': SPEED}, wheelbase=0.325)
HOSTILE = (0.0, -0.0, 1e-320, 1.0, -9.81, 1e3, 1e30, 1e308, math.inf, -math.inf, math.nan)
SIZES = (0, 1, 2, 3, 119, 120, 160, 640, 4096, 2**31, 2**32 - 1)
START = 1_000_000_000_000


def text(value: str) -> bytes:
    """A CDR string, padded to the next 4 bytes as what follows mostly needs it."""
    data = value.encode() + b'\0'
    return struct.pack('<I', len(data)) + data + bytes(-len(data) % 4)


def header(rng: np.random.Generator, now_ns: int) -> bytes:
    """A stamp: mostly now, sometimes from anywhere."""
    stamp = now_ns if rng.random() < 0.7 else int(rng.integers(-(2**62), 2**62))
    sec, nanosec = divmod(stamp, 10**9)
    return struct.pack('<iI', (sec + 2**31) % 2**32 - 2**31, nanosec) + text('camera')


def image(rng: np.random.Generator, now_ns: int) -> bytes:
    width, height = (160, 120) if rng.random() < 0.6 else rng.choice(SIZES, 2)
    encoding = str(rng.choice([*ENCODINGS, 'rgb16', '', 'x' * 300]))
    step = int(width) * 3 if rng.random() < 0.7 else int(rng.choice(SIZES))
    size = min(step * int(height), 60_000) if rng.random() < 0.7 else int(rng.integers(0, 999))
    body = struct.pack('<II', int(height), int(width)) + text(encoding)
    body += struct.pack('<B3xI', 0, step % 2**32)
    announced = size if rng.random() < 0.9 else int(rng.choice(SIZES))
    return b'\0\1\0\0' + header(rng, now_ns) + body + struct.pack('<I', announced) + bytes(size)


def compressed(rng: np.random.Generator, now_ns: int) -> bytes:
    size = int(rng.integers(0, 300))
    data = rng.choice([b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'']) + rng.bytes(size)
    return b'\0\1\0\0' + header(rng, now_ns) + text('jpeg') + struct.pack('<I', len(data)) + data


def doubles(rng: np.random.Generator, now_ns: int, count: int, child: bytes = b'') -> bytes:
    values = rng.normal(0, 3, count)
    if rng.random() < 0.5:
        values[rng.integers(0, count, 3)] = rng.choice(HOSTILE, 3)
    head = b'\0\1\0\0' + header(rng, now_ns) + child
    return head + bytes(-(len(head) - 4) % 8) + struct.pack(f'<{count}d', *values)


def imu(rng: np.random.Generator, now_ns: int) -> bytes:
    return doubles(rng, now_ns, 37)


def odometry(rng: np.random.Generator, now_ns: int) -> bytes:
    return doubles(rng, now_ns, 85, text('base'))


def damaged(rng: np.random.Generator, message: bytes) -> bytes:
    """Cut short, with bytes changed, or untouched."""
    what = rng.random()
    if what < 0.1:
        return message[: rng.integers(0, len(message) + 1)]
    if what < 0.2:
        changed = bytearray(message)
        for at in rng.integers(0, len(message), 4):
            changed[at] = rng.integers(0, 256)
        return bytes(changed)
    return message


class Receiver:
    """The way of a message through the runtime, as the node's threads walk it."""

    def __init__(self, path: Path) -> None:
        self.runner = PolicyRunner(
            Policy.load(make_bundle(path, speed=True)), time_budget=math.inf
        )
        self.driven = 0
        self.restart()

    def restart(self) -> None:
        self.runner.sensors.clear()
        self.runner.reset()
        self.controller = Controller(self.runner, ROBOT)

    def take(self, kind: str, message: bytes, now_ns: int) -> None:
        ingest, msgtype = self.runner.ingest, TYPES[kind]
        if kind in ('image', 'compressed'):
            reading = ingest.read('image', '', message, msgtype)
            assert reading is not None
            assert reading.stamp_ns is not None
            self.runner.encode('image', Frame(reading.value, reading.stamp_ns, now_ns))
        else:
            ingest.take(kind, '', message, msgtype, now_ns)


@pytest.fixture(scope='module')
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Receiver:
    return Receiver(tmp_path_factory.mktemp('fuzz') / 'bundle')


MAKERS = {'imu': imu, 'image': image, 'compressed': compressed, 'speed': odometry}
TYPES = {
    'imu': 'sensor_msgs/msg/Imu',
    'image': 'sensor_msgs/msg/Image',
    'compressed': 'sensor_msgs/msg/CompressedImage',
    'speed': 'nav_msgs/msg/Odometry',
}


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32 - 1), mix=st.tuples(*[st.integers(1, 9)] * len(MAKERS)))
def test_no_message_crashes_it_or_gets_past_the_limits(
    receiver: Receiver, seed: int, mix: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    receiver.restart()
    kinds = rng.choice(list(MAKERS), MESSAGES, p=np.array(mix) / sum(mix))
    now, before = START, (0.0, 0.0)
    accepted = refused = 0
    for index, kind in enumerate(kinds):
        message = damaged(rng, MAKERS[kind](rng, now))
        try:
            receiver.take(kind, message, now)
            accepted += 1
        except LiquidControlError:
            refused += 1
        now += 10_000_000
        if index % 5:
            continue
        if index % 50 == 0:
            receiver.controller.engage(now)
        if rng.random() < 0.02:
            values = tuple(float(value) for value in rng.choice(HOSTILE, 2))
            try:
                receiver.controller.override(values, now)
            except ValueError:
                assert not all(map(math.isfinite, values))
        tick = receiver.controller.tick(now)
        if tick.command is None:
            before = (0.0, 0.0)
            continue
        steering, speed = tick.command
        assert -0.4 <= steering <= 0.4
        assert 0.0 <= speed <= 1.5
        if tick.mode is Mode.AUTONOMOUS:
            receiver.driven += 1
            assert abs(steering - before[0]) <= 2.0 * 0.25 + 1e-6
            assert abs(speed - before[1]) <= 2.0 * 0.25 + 1e-6
        before = tick.command
    assert accepted, 'the fuzzer must also make messages that are good'
    assert refused, 'and bad ones'


def test_the_fuzzer_gets_as_far_as_driving(receiver: Receiver) -> None:
    assert receiver.driven > 100, 'after the test above'
