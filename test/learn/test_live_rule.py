# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What is learnt from a recording is what the robot would have had, tick by tick.

One recording of many kinds of input and with every fault there is goes through the runtime's own
`Ingest`, message by message as they came, through `replay`, and through the arrays that training
draws from: at every tick all three see the same values, or are not asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from support import recordings as rec
from support.bundles import image_spec, make_bundle

from liquid_control.bags.messages import serialize
from liquid_control.bags.reader import BagReader
from liquid_control.common.errors import ImageError, SensorError
from liquid_control.contract.inputs import (
    GoalSpec,
    ImuSpec,
    InputSpec,
    JointsSpec,
    Reading,
    ScanSpec,
    SpeedSpec,
)
from liquid_control.evaluate.replay.replayer import Faults, ReplayedTick, replay
from liquid_control.evaluate.replay.topics import choose_topics
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.sequences import ticks_of, whole
from liquid_control.learn.data.signals import Signals
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.sensing.ingest import Ingest

CAMERA = '/camera/image_raw/compressed'
SCAN, GOAL, JOINTS = '/scan', '/goal_pose', '/joint_states'
TYPES = {
    CAMERA: 'sensor_msgs/msg/CompressedImage',
    rec.COMMAND: rec.TYPES[rec.COMMAND],
    GOAL: 'geometry_msgs/msg/PoseStamped',
    rec.IMU: rec.TYPES[rec.IMU],
    JOINTS: 'sensor_msgs/msg/JointState',
    rec.ODOM: rec.TYPES[rec.ODOM],
    SCAN: 'sensor_msgs/msg/LaserScan',
}
INPUTS: dict[str, InputSpec] = {
    'image': image_spec(),
    'imu': ImuSpec(rate=100.0, max_age=0.1),
    'speed': SpeedSpec(rate=50.0, max_age=0.2),
    'scan': ScanSpec(rate=10.0, max_age=0.3, sectors=4, far=8.0, features=8),
    'goal': GoalSpec(rate=50.0, max_age=0.2),
    'arm': JointsSpec(rate=50.0, max_age=0.2, joints=('elbow',)),
}
PERIOD_NS = 50_000_000
MS = 1_000_000
YEAR_NS = 365 * 86_400 * 1000 * MS
BACK_NS, PAUSED_NS = 20_000 * MS, 60_000 * MS
BREAK_NS = 10_000 * MS


class Sent(NamedTuple):
    """A message, when the robot got it by its clock, and what its recorder wrote then."""

    topic: str
    values: dict[str, Any]
    stamp_ns: int
    era: int
    """How often the clock went back before."""
    robot_ns: int
    log_ns: int


def fault(kind: str, index: int, at_ms: int) -> str:
    """What is wrong with the message of a topic that is due then, '' where nothing is."""
    silent = {
        CAMERA: (2000, 3000),
        rec.IMU: (4000, 4400),
        rec.COMMAND: (6000, 8000),
        SCAN: (3500, 3900),
        JOINTS: (5000, 5300),
    }
    first, last = silent.get(kind, (0, 0))
    if first < at_ms < last:
        return 'missing'
    return {
        (CAMERA, 20): 'repeated',
        (CAMERA, 40): 'cut',
        (CAMERA, 41): 'empty',
        (CAMERA, 130): 'future',
        (CAMERA, 131): 'past',
        (rec.IMU, 90): 'absurd',
        (rec.IMU, 91): 'nan',
        (rec.IMU, 150): 'repeated',
        (rec.ODOM, 60): 'nan',
        (rec.ODOM, 61): 'absurd',
        (rec.ODOM, 100): 'repeated',
        (SCAN, 10): 'nan',
        (SCAN, 12): 'repeated',
        (SCAN, 60): 'past',
        (GOAL, 2): 'frame',
        (JOINTS, 70): 'nan',
        (JOINTS, 71): 'empty',
        (rec.COMMAND, 30): 'nan',
        (rec.COMMAND, 50): 'absurd',
    }.get((kind, index), '')


def frame(index: int) -> dict[str, Any]:
    """An image all of one colour, which tells its number."""
    pixels = np.full((120, 160, 3), (0, index // 256, index % 256), np.uint8)
    return {'format': 'png', 'data': cv2.imencode('.png', pixels)[1].reshape(-1)}


def values_of(kind: str, index: int, wrong: str) -> dict[str, Any]:
    odd = {'nan': float('nan'), 'absurd': 1e4}.get(wrong)
    if kind == CAMERA:
        values = frame(index)
        return values | {'data': values['data'][: {'cut': 60, 'empty': 0}.get(wrong)]}
    if kind == rec.IMU:
        return {'linear_acceleration': {'x': float(index % 400) if odd is None else odd}}
    if kind == SCAN:
        ranges = np.linspace(0.5, 3.0, 40, dtype=np.float32) + index % 50 / 20
        if odd is not None:
            ranges[7:12] = odd
            ranges[:10] = odd
        limits = {'range_min': 0.1, 'range_max': 10.0}
        return {'angle_min': -3.1, 'angle_increment': 0.158, 'ranges': ranges, **limits}
    if kind == GOAL:
        frame_id = 'map' if wrong == 'frame' else 'odom'
        pose = {'position': {'x': 5.0 + index, 'y': -2.0}, 'orientation': {'w': 1.0}}
        return {'header': {'frame_id': frame_id}, 'pose': pose}
    if kind == JOINTS:
        names = ['wheel'] if wrong == 'empty' else ['wheel', 'elbow']
        values = [0.0, index / 100 if odd is None else odd][: len(names)]
        return {'name': names, 'position': values, 'velocity': values}
    speed = (index % 100 if kind == rec.ODOM else index // 20) / 10 if odd is None else odd
    twist = {'linear': {'x': speed}, 'angular': {'z': 0.5}}
    if kind == rec.COMMAND:
        return {'twist': twist}
    # Only the speed is wrong of it, not where it is.
    pose = {'position': {'x': index / 50, 'y': 0.1}, 'orientation': {'z': 0.6, 'w': 0.8}}
    return {
        'header': {'frame_id': 'odom'},
        'pose': {'pose': pose},
        'twist': {'twist': twist},
    }


@cache
def drive() -> tuple[Sent, ...]:
    return tuple(messages())


def messages() -> Iterator[Sent]:
    """Three parts: the second comes after a pause, the third after the clock went back."""
    count = dict.fromkeys(TYPES, 0)
    for part, clock_ns in enumerate((0, PAUSED_NS, PAUSED_NS - BACK_NS)):
        start_ns = rec.START_NS + part * BREAK_NS + clock_ns
        log_ns = start_ns if part < 2 else start_ns + BACK_NS
        end_ms = 9_900 if part == 0 else 1_900
        due = [(at, kind) for kind in count for at in range(0, end_ms, last_of(kind) // MS)]
        for at_ms, kind in sorted(due):
            wrong = fault(kind, count[kind], at_ms if part == 0 else 0)
            stamp_ns = start_ns + at_ms * MS
            if wrong != 'missing':
                odd = {'repeated': -last_of(kind), 'future': YEAR_NS, 'past': -YEAR_NS}
                yield Sent(
                    kind,
                    values_of(kind, count[kind], wrong),
                    stamp_ns + odd.get(wrong, 0),
                    part // 2,
                    stamp_ns,
                    log_ns + at_ms * MS,
                )
            count[kind] += 1


def last_of(kind: str) -> int:
    """Time between two messages of a topic, ns."""
    times = {CAMERA: 33, rec.IMU: 10, rec.ODOM: 20, rec.COMMAND: 50}
    return {**times, SCAN: 100, GOAL: 1900, JOINTS: 20}[kind] * MS


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    path = tmp_path_factory.mktemp('models') / 'policy'
    return Policy.load(make_bundle(path, inputs=INPUTS, commands=('yaw_rate', 'speed')))


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    entries = [rec.Entry(m.stamp_ns, m.topic, m.values, m.log_ns - m.stamp_ns) for m in drive()]
    kinds = {topic[1:]: msgtype for topic, msgtype in TYPES.items()}
    return rec.write_bag(tmp_path_factory.mktemp('bags') / 'bag', entries, **kinds)


@pytest.fixture(scope='module')
def episode(policy: Policy, bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Episode:
    contract = policy.contract
    signals = Signals(contract.commands, contract.inputs)
    store = tmp_path_factory.mktemp('store')
    return build([bag], signals, store, Console(quiet=True))[0]


Seen = dict[str, NDArray[Any]]
"""What one way to the policy shows at the ticks at which it is asked: their stamps (ns) as '', and
by input; of images their numbers."""


def number(pixels: NDArray[np.uint8]) -> int:
    red, green = int(pixels[0, 0, 0]), int(pixels[0, 0, 1])
    return green * 256 + red


def gathered(rows: list[dict[str, Any]]) -> Seen:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def live(policy: Policy, ticks: list[int]) -> Seen:
    """The rule itself: each message is taken or refused when it comes, each tick sees the newest.

    Ticks are those of the robot's clock, where it went back after the clock had.
    """
    ingest, rows = Ingest(policy.contract.inputs), []
    coming = deque(drive())
    era, before = 0, 0

    def hear_until(era: int, robot_ns: int) -> None:
        while coming and (coming[0].era, coming[0].robot_ns) <= (era, robot_ns):
            hear(ingest, coming.popleft())

    for tick_ns in ticks:
        if tick_ns < before:
            hear_until(era, 2**62)
            ingest.clear()
            era += 1
        hear_until(era, tick_ns)
        before = tick_ns
        seen = ingest.sensors.observe(tick_ns)
        if not seen.problem:
            rows.append({'': tick_ns, **seen.values, 'image': int(seen.values['image'][0])})
    return gathered(rows)


def hear(ingest: Ingest, message: Sent) -> None:
    data = serialize(TYPES[message.topic], message.values, message.stamp_ns)
    parts = {
        CAMERA: [('image', '')],
        rec.IMU: [('imu', '')],
        rec.ODOM: [('speed', ''), ('goal', 'odom')],
        SCAN: [('scan', '')],
        GOAL: [('goal', 'goal')],
        JOINTS: [('arm', '')],
    }
    for name, role in parts.get(message.topic, []):
        with suppress(SensorError, ImageError):
            if name == 'image':
                reading = ingest.read(name, role, data, TYPES[CAMERA])
                assert reading is not None
                shown = np.float32([number(reading.value)])
                ingest.sensors.put(name, Reading(reading.stamp_ns, shown), message.robot_ns)
            else:
                ingest.take(name, role, data, TYPES[message.topic], message.robot_ns)


def replayed(
    policy: Policy, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Seen, list[ReplayedTick], Faults]:
    asked: list[dict[str, Any]] = []
    step, encode = Policy.step, Policy.encode_input

    def watched(self: Policy, inputs: Any, elapsed: float) -> Any:
        asked.append({**inputs, 'image': int(inputs['image'][-1])})
        return step(self, {**inputs, 'image': inputs['image'][:-1]}, elapsed)

    def numbered(self: Policy, name: str, pixels: NDArray[np.uint8]) -> Any:
        return np.append(encode(self, name, pixels), np.float32(number(pixels)))

    monkeypatch.setattr(Policy, 'step', watched)
    monkeypatch.setattr(Policy, 'encode_input', numbered)
    faults = Faults()
    with BagReader(bag) as reader:
        topics = choose_topics(reader, policy.contract)
        ticks = list(replay(reader, policy, topics, wheelbase=0.325, faults=faults))
    stamps = [tick.stamp_ns for tick in ticks if not tick.problem]
    return {'': np.array(stamps), **gathered(asked)}, ticks, faults


def trained(episode: Episode, shift_ns: int) -> Seen:
    """As training sees it; stamps by the robot's clock."""
    steps, ticks = whole(episode, PERIOD_NS), ticks_of(episode, PERIOD_NS)
    went_back = rec.START_NS + 2 * BREAK_NS + PAUSED_NS - BACK_NS + shift_ns
    seen = {name: values.numpy() for name, values in steps.inputs.items()}
    return {
        **seen,
        '': np.where(ticks >= went_back, ticks - shift_ns, ticks),
        'image': np.array([number(image) for image in seen['image']]),
    }


def test_robot_replay_and_training_see_the_same_at_every_tick(
    policy: Policy, bag: Path, episode: Episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_replay, ticks, faults = replayed(policy, bag, monkeypatch)
    pause, back = faults.jumps
    assert (pause.is_back, back.is_back) == (False, True)
    by_training = trained(episode, back.shift_ns)
    by_robot = live(policy, [tick.stamp_ns for tick in ticks])
    count = len(by_training[''])
    assert count > 200
    for name, robot in by_robot.items():
        np.testing.assert_array_equal(by_replay[name], robot, err_msg=name)
        np.testing.assert_array_equal(by_training[name], robot[:count], err_msg=name)
    # Learnt is up to where the first of the topics ends.
    assert len(by_robot['']) - count <= 2
    # The images that nobody could have seen were seen by nobody.
    assert not {20, 40, 41, 130, 131} & set(by_robot['image'].tolist())
    # Several goals were driven to, in the time between them none that was given in another frame.
    assert len(np.unique(by_robot['goal'][:, 0])) > 50


def test_a_command_holds_as_long_in_training_as_in_replay(
    policy: Policy, bag: Path, episode: Episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ticks, _ = replayed(policy, bag, monkeypatch)
    commands = whole(episode, PERIOD_NS).commands.numpy()
    recorded = np.array([tick.recorded for tick in ticks if not tick.problem])[: len(commands)]
    np.testing.assert_array_equal(np.isnan(commands), np.isnan(recorded))
    # Between two messages training is on its way from one to the other: a step of 0.1 here.
    assert np.nanmax(np.abs(commands - recorded)) < 0.1
    # Two seconds of silence, half a second of which the last command held.
    unknown = np.isnan(commands).any(axis=1).sum()
    assert unknown == 1.5 * 20 - 1


def test_what_is_left_out_is_counted_and_named(episode: Episode, bag: Path) -> None:
    left_out = episode.left_out()
    assert left_out['image older than 0.3 s'] == pytest.approx(0.7, abs=0.05)
    assert left_out['imu older than 0.1 s'] == pytest.approx(0.3, abs=0.02)
    assert left_out['no command on /cmd_vel for 0.5 s'] == pytest.approx(1.5, abs=0.05)
    refused = {(entry['topic'], entry['why'].split(':')[0]): entry for entry in episode.refused}
    stamps = {topic: e['count'] for (topic, why), e in refused.items() if 'stamp' in why}
    assert stamps == {CAMERA: 3, rec.IMU: 1, rec.ODOM: 1, SCAN: 2}
    first = next(
        e for e in episode.refused if e['topic'] == CAMERA and 'compressed image' in e['why']
    )
    at_ns = rec.START_NS + 40 * last_of(CAMERA)
    assert (first['count'], first['first'], first['first_ns']) == (2, 40, at_ns)
    pause, back = episode.jumps
    assert 'the stamps jump by 60.1 s' in pause
    assert 'the stamps go back by 11.9 s' in back
