"""What is learnt from a recording is what the robot would have had, tick by tick.

One recording with every fault there is goes through the runtime's own `Sensors`, message by
message as they came, through `replay`, and through the arrays that training draws from: at every
tick all three see the same samples, or are not asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from support import recordings as rec
from support.bundles import make_bundle

from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import TopicRoles
from liquid_control.common.errors import SensorError
from liquid_control.evaluate.replay.replayer import Faults, ReplayedTick, replay
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.sequences import ticks_of, whole
from liquid_control.learn.data.signals import Signals
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.sensing.observation import Sensors

CAMERA = '/camera/image_raw/compressed'
TOPICS = TopicRoles(image=CAMERA, imu=rec.IMU, odom=rec.ODOM, command=rec.COMMAND)
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
    silent = {CAMERA: (2000, 3000), rec.IMU: (4000, 4400), rec.COMMAND: (6000, 8000)}
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
        (rec.COMMAND, 30): 'nan',
        (rec.COMMAND, 50): 'absurd',
    }.get((kind, index), '')


def frame(index: int) -> dict[str, Any]:
    """A picture all of one colour, which tells its number."""
    pixels = np.full((120, 160, 3), (0, index // 256, index % 256), np.uint8)
    return {'format': 'png', 'data': cv2.imencode('.png', pixels)[1].reshape(-1)}


def values_of(kind: str, index: int, wrong: str) -> dict[str, Any]:
    odd = {'nan': float('nan'), 'absurd': 1e4}.get(wrong)
    if kind == CAMERA:
        values = frame(index)
        return values | {'data': values['data'][: {'cut': 60, 'empty': 0}.get(wrong)]}
    if kind == rec.IMU:
        return {'linear_acceleration': {'x': float(index % 400) if odd is None else odd}}
    speed = (index % 100 if kind == rec.ODOM else index // 20) / 10 if odd is None else odd
    twist = {'linear': {'x': speed}, 'angular': {'z': 0.5}}
    return {'twist': twist} if kind == rec.COMMAND else {'twist': {'twist': twist}}


@cache
def drive() -> tuple[Sent, ...]:
    return tuple(messages())


def messages() -> Iterator[Sent]:
    """Three parts: the second comes after a pause, the third after the clock went back."""
    count = dict.fromkeys((CAMERA, rec.IMU, rec.ODOM, rec.COMMAND), 0)
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
    return {CAMERA: 33, rec.IMU: 10, rec.ODOM: 20, rec.COMMAND: 50}[kind] * MS


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    path = tmp_path_factory.mktemp('models') / 'policy'
    return Policy.load(make_bundle(path, speed=True, commands=('yaw_rate', 'speed')))


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    entries = [rec.Entry(m.stamp_ns, m.topic, m.values, m.log_ns - m.stamp_ns) for m in drive()]
    kind = {CAMERA[1:]: 'sensor_msgs/msg/CompressedImage'}
    return rec.write_bag(tmp_path_factory.mktemp('bags') / 'bag', entries, **kind)


@pytest.fixture(scope='module')
def episode(policy: Policy, bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Episode:
    contract = policy.contract
    signals = Signals(contract.commands, contract.image, contract.imu, contract.speed)
    store = tmp_path_factory.mktemp('store')
    return build([bag], signals, store, Console(quiet=True))[0]


class Seen(NamedTuple):
    """What one way to the policy shows at the ticks at which it is asked."""

    stamp_ns: NDArray[np.int64]
    image: NDArray[np.int64]
    """Number of the picture."""
    imu: NDArray[np.float64]
    speed: NDArray[np.float64]


def number(pixels: NDArray[np.uint8]) -> int:
    red, green = int(pixels[0, 0, 0]), int(pixels[0, 0, 1])
    return green * 256 + red


def live(policy: Policy, ticks: list[int]) -> Seen:
    """The rule itself: each message is taken or refused when it comes, each tick sees the newest.

    Ticks are those of the robot's clock, where it went back after the clock had.
    """
    sensors, rows = Sensors(policy.contract), []
    coming = deque(drive())
    era, before = 0, 0

    def hear_until(era: int, robot_ns: int) -> None:
        while coming and (coming[0].era, coming[0].robot_ns) <= (era, robot_ns):
            hear(sensors, coming.popleft())

    for tick_ns in ticks:
        if tick_ns < before:
            hear_until(era, 2**62)
            sensors.clear()
            era += 1
        hear_until(era, tick_ns)
        before = tick_ns
        seen = sensors.observe(tick_ns)
        if not seen.problem:
            rows.append((tick_ns, int(seen.features[0]), seen.imu[0], seen.speed))
    return Seen(*map(np.array, zip(*rows, strict=True)))  # type: ignore[arg-type]


def hear(sensors: Sensors, message: Sent) -> None:
    stamp_ns, robot_ns, values = message.stamp_ns, message.robot_ns, message.values
    try:
        if message.topic == CAMERA:
            picture = cv2.imdecode(values['data'], 1) if len(values['data']) else None
            if picture is not None:
                shown = np.float32([number(picture[..., ::-1])])
                sensors.put_features(stamp_ns, shown, robot_ns)
        elif message.topic == rec.IMU:
            acceleration = values['linear_acceleration']['x']
            sensors.put_imu(stamp_ns, np.float32([acceleration, 0, 0, 0, 0, 0]), robot_ns)
        elif message.topic == rec.ODOM:
            sensors.put_speed(stamp_ns, values['twist']['twist']['linear']['x'], robot_ns)
    except SensorError:
        return


def replayed(
    policy: Policy, bag: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Seen, list[ReplayedTick], Faults]:
    asked: list[tuple[int, float, float]] = []
    step, encode, shown = Policy.step, Policy.encode_input, [0]

    def watched(self: Policy, **inputs: Any) -> Any:
        asked.append((int(inputs['features'][-1]), float(inputs['imu'][0]), inputs['speed']))
        return step(self, **{**inputs, 'features': inputs['features'][:-1]})

    def numbered(self: Policy, pixels: NDArray[np.uint8]) -> Any:
        shown[0] = number(pixels)
        return np.append(encode(self, pixels), np.float32(shown[0]))

    monkeypatch.setattr(Policy, 'step', watched)
    monkeypatch.setattr(Policy, 'encode_input', numbered)
    faults = Faults()
    with BagReader(bag) as reader:
        ticks = list(replay(reader, policy, TOPICS, wheelbase=0.325, faults=faults))
    stamps = [tick.stamp_ns for tick in ticks if not tick.problem]
    images, imu, speed = (np.array(part) for part in zip(*asked, strict=True))
    return Seen(np.array(stamps), images, imu, speed), ticks, faults


def trained(episode: Episode, shift_ns: int) -> Seen:
    """As training sees it; stamps by the robot's clock."""
    steps, ticks = whole(episode, PERIOD_NS), ticks_of(episode, PERIOD_NS)
    went_back = rec.START_NS + 2 * BREAK_NS + PAUSED_NS - BACK_NS + shift_ns
    return Seen(
        np.where(ticks >= went_back, ticks - shift_ns, ticks),
        np.array([number(image) for image in steps.images.numpy()]),
        steps.imu[:, 0].numpy().astype(np.float64),
        steps.speed[:, 0].numpy().astype(np.float64),
    )


def test_robot_replay_and_training_see_the_same_at_every_tick(
    policy: Policy, bag: Path, episode: Episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_replay, ticks, faults = replayed(policy, bag, monkeypatch)
    pause, back = faults.jumps
    assert (pause.is_back, back.is_back) == (False, True)
    by_training = trained(episode, back.shift_ns)
    by_robot = live(policy, [tick.stamp_ns for tick in ticks])
    count = len(by_training.stamp_ns)
    assert count > 240
    for name in Seen._fields:
        robot = getattr(by_robot, name)
        np.testing.assert_allclose(getattr(by_replay, name), robot, atol=1e-6, err_msg=name)
        training = getattr(by_training, name)
        np.testing.assert_allclose(training, robot[:count], atol=1e-6, err_msg=name)
    # Learnt is up to where the first of the topics ends.
    assert len(by_robot.stamp_ns) - count <= 1
    # The pictures that nobody could have seen were seen by nobody.
    assert not {20, 40, 41, 130, 131} & set(by_robot.image.tolist())


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
    assert stamps == {CAMERA: 3, rec.IMU: 1}
    first = next(
        e for e in episode.refused if e['topic'] == CAMERA and 'compressed image' in e['why']
    )
    at_ns = rec.START_NS + 40 * last_of(CAMERA)
    assert (first['count'], first['first'], first['first_ns']) == (2, 40, at_ns)
    pause, back = episode.jumps
    assert 'the stamps jump by 60.1 s' in pause
    assert 'the stamps go back by 11.9 s' in back
