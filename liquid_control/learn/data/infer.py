"""What to take from bags where no recipe says it: as the first bag suggests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.errors import BagError, TopicError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import COMMAND_TYPES, TopicRoles, candidates, find_topic
from liquid_control.common.errors import ImageError, LiquidControlError
from liquid_control.contract.bounds import BOUNDS, MAX_AGE
from liquid_control.contract.contract import ImageSpec, SensorSpec
from liquid_control.learn.data.commands import choose_commands, command_specs
from liquid_control.learn.data.kinematics import Commanded, commanded
from liquid_control.learn.data.signals import NO_TOPICS, Signals, Topics

# The encoder's input; enough to see a lane, small enough for one slow core.
WIDTH = 96
FEATURES = 32
# The part of the picture that is left out at the top: mostly sky, ceiling and people.
SKY = 1 / 3
# What is seen may be this much longer one way than the other.
STRIP = 12
# Messages further apart than this many usual gaps: nobody was sending.
PAUSE = 10.0
# Pictures to look at until one can be decoded.
PICTURES = 100
# Sensors may miss this many messages before the robot stops.
MISSED_MESSAGES = 10


def infer_signals(
    bags: Sequence[Path],
    topics: Topics = NO_TOPICS,
    on_status: Callable[[str], None] = lambda text: None,
    wheelbase: float | None = None,
    commands: Sequence[str] = (),
) -> Signals:
    """Camera and IMU where the first bag that can be read has them, odometry where it has no
    camera; commands as in learn/data/commands.py.

    Args:
        topics: names that the user gave.
        on_status: told what was concluded or assumed of the robot.
        wheelbase: m; None: estimated where the recording tells it.
        commands: their names, where the user says so.

    Raises:
        BagError: no bag can be read, or it holds no commands or nothing to see.
    """
    problems = []
    for bag in bags:
        try:
            return _infer(bag, topics, on_status, wheelbase, commands)
        except LiquidControlError as error:
            problems.append(error)
    raise problems[0]


def _infer(
    bag: Path,
    topics: Topics,
    on_status: Callable[[str], None],
    wheelbase: float | None,
    commands: Sequence[str],
) -> Signals:
    with BagReader(bag) as reader:
        roles = _roles(reader, topics, on_status)
        assert roles.command is not None
        use_odometry = roles.image is None and roles.odom is not None
        used = roles.image, roles.imu, roles.odom if use_odometry else None
        rates = _rates(reader, [topic for topic in used if topic is not None])

        def sensor(topic: str | None) -> SensorSpec | None:
            return SensorSpec(rates[topic], _max_age(rates[topic])) if topic in rates else None

        image = None
        if roles.image is not None:
            image = _image(_first_picture(reader, roles.image), rates[roles.image], roles.image)
        told = commanded(reader, roles.command, roles.odom, commands)
        names = choose_commands(told, roles.command, on_status, commands)
        wheelbase = wheelbase or _wheelbase(told, names, on_status)
        return Signals(
            commands=command_specs(told, names, wheelbase, roles.command, on_status),
            image=image,
            imu=sensor(roles.imu),
            speed=sensor(used[2]),
            wheelbase=wheelbase,
            topics=topics,
        )


def _roles(reader: BagReader, named: Topics, on_status: Callable[[str], None]) -> TopicRoles:
    """The command, and what there is to see; what others than the camera are not sure of is not
    used. Raises TopicError, about the command first.
    """
    topics = reader.filled
    command = find_topic(topics, 'command', named.command)
    if command is None:
        raise TopicError(
            f'{reader.path} needs a command topic of type {" or ".join(COMMAND_TYPES)} to learn '
            f'from; --command-topic may also name an Odometry; it has {reader.describe()}'
        )
    image = find_topic(topics, 'image', named.image)
    imu = find_topic(topics, 'imu', named.imu, optional=image is not None)
    if image is None and imu is None:
        raise TopicError(
            f'{reader.path} needs a camera or an IMU to learn from; it has {reader.describe()}'
        )
    odom = find_topic(topics, 'odom', named.odom, optional=image is not None)
    if imu is None and (several := candidates(topics, 'imu')):
        on_status(f'IMU: not used, it could be {" or ".join(several)}; name one with --imu-topic')
    return TopicRoles(image, imu, odom, command)


def _rates(reader: BagReader, topics: Sequence[str]) -> dict[str, float]:
    """Messages a second while they come, Hz: pauses and jumps of the clock have no say."""
    arrived: dict[str, list[int]] = {topic: [] for topic in topics}
    stamped = dict.fromkeys(topics, -1)
    for message in reader.messages(topics):
        if message.stamp_ns != stamped[message.topic]:  # a repeated one is refused
            stamped[message.topic] = message.stamp_ns
            arrived[message.topic].append(message.log_ns)
    rates = {}
    for topic, stamps in arrived.items():
        gaps = np.diff(np.sort(stamps)) / 1e9
        usual = gaps[gaps <= PAUSE * np.median(gaps)] if len(gaps) else gaps
        rate = 1 / usual.mean() if usual.sum() > 0 else 0.0
        rates[topic] = min(max(round(float(rate), 1), 0.1), BOUNDS['rate'][1])
    return rates


def _first_picture(reader: BagReader, topic: str) -> NDArray[np.uint8]:
    """That can be decoded, among the first ones."""
    problem: ImageError | None = None
    for message in islice(reader.messages([topic]), PICTURES):
        try:
            return samples.picture(reader, message)
        except ImageError as error:
            problem = problem or error
    raise BagError(f'{reader.path}, {topic}: no picture to learn from: {problem}') from problem


def _image(picture: NDArray[np.uint8], rate: float, topic: str) -> ImageSpec:
    height, width = picture.shape[:2]
    top = round(height * SKY)
    if not 1 / STRIP <= (height - top) / width <= STRIP:
        raise BagError(
            f'{topic}: pictures of {width}x{height} are a strip, of which nobody can guess what '
            'a policy should see: say so with signals.image in a recipe'
        )
    return ImageSpec(
        width=WIDTH,
        height=round(WIDTH * (height - top) / width),
        source_width=width,
        source_height=height,
        crop=(0, top, width, height - top),
        rate=rate,
        max_age=_max_age(rate),
        features=FEATURES,
    )


def _max_age(rate: float) -> float:
    """A slow sensor's messages may still not be older than a robot may drive on, s."""
    return min(round(MISSED_MESSAGES / rate, 3), MAX_AGE)


def _wheelbase(told: Commanded, names: Sequence[str], on_status: Callable[[str], None]) -> float:
    """Estimated or assumed, m; said where it has a say in what is learnt."""
    if 'steering_angle' not in names:
        return Signals.wheelbase
    found = told.wheelbase()
    if found is not None:
        on_status(f'wheelbase: {found:g} m, by the recorded steering angles and odometry')
    elif not told.steers or len(told.moved):
        on_status(
            f'wheelbase: {Signals.wheelbase:g} m is assumed, the recording does not tell it; '
            'if it is another, --set signals.wheelbase=...'
        )
    return found or Signals.wheelbase
