"""What to take from bags where no recipe says it: as the first bag suggests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.errors import BagError, TopicError
from liquid_control.bags.reader import BagReader, describe
from liquid_control.bags.topics import COMMAND_TYPES, TopicRoles, find_topic
from liquid_control.learn.signals import NO_TOPICS, Signals, Topics
from liquid_control.runtime.bounds import MAX_AGE
from liquid_control.runtime.contract import CommandSpec, ImageSpec, SensorSpec
from liquid_control.runtime.errors import LiquidControlError

# The encoder's input; enough to see a lane, small enough for one slow core.
WIDTH = 96
FEATURES = 32
# The part of the picture that is left out at the top: mostly sky, ceiling and people.
SKY = 1 / 3
# A command may go this much beyond what was recorded.
ROOM = 1.2
# Sensors may miss this many messages before the robot stops.
MISSED_MESSAGES = 10


def guess_signals(bags: Sequence[Path], topics: Topics = NO_TOPICS) -> Signals:
    """Camera and IMU where the first bag that can be read has them, odometry where it has no
    camera; a car's commands.

    Args:
        topics: names that the user gave.

    Raises:
        BagError: no bag can be read, or it holds no commands or nothing to see.
    """
    problems = []
    for bag in bags:
        try:
            return _guess(bag, topics)
        except LiquidControlError as error:
            problems.append(error)
    raise problems[0]


def _guess(bag: Path, topics: Topics) -> Signals:
    with BagReader(bag) as reader:
        roles = _roles(reader, topics)
        assert roles.command is not None
        seconds = max((reader.end_ns - reader.start_ns) / 1e9, 1e-3)

        def rate(topic: str) -> float:
            return round(max(reader.message_counts[topic] / seconds, 0.1), 1)

        def sensor(topic: str) -> SensorSpec:
            return SensorSpec(rate(topic), _max_age(rate(topic)))

        image = None
        if roles.image is not None:
            first = next(iter(reader.messages([roles.image])))
            image = _image(samples.picture(reader, first), rate(roles.image))
        use_odometry = roles.image is None and roles.odom is not None
        return Signals(
            commands=_commands(reader, roles.command),
            image=image,
            imu=sensor(roles.imu) if roles.imu is not None else None,
            speed=sensor(roles.odom) if use_odometry and roles.odom is not None else None,
            topics=topics,
        )


def _roles(reader: BagReader, named: Topics) -> TopicRoles:
    """The command, and what there is to see; what others than the camera are not sure of is not
    used. Raises TopicError, about the command first.
    """
    topics = reader.topics
    command = find_topic(topics, 'command', named.command)
    if command is None:
        raise TopicError(
            f'{reader.path} needs a command topic of type {" or ".join(COMMAND_TYPES)} to learn '
            f'from; --command-topic may also name an Odometry; it has {describe(topics)}'
        )
    image = find_topic(topics, 'image', named.image)
    imu = find_topic(topics, 'imu', named.imu, optional=image is not None)
    if image is None and imu is None:
        raise TopicError(
            f'{reader.path} needs a camera or an IMU to learn from; it has {describe(topics)}'
        )
    odom = find_topic(topics, 'odom', named.odom, optional=image is not None)
    return TopicRoles(image, imu, odom, command)


def _image(picture: NDArray[np.uint8], rate: float) -> ImageSpec:
    height, width = picture.shape[:2]
    top = round(height * SKY)
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


def _commands(reader: BagReader, topic: str) -> tuple[CommandSpec, ...]:
    wheelbase = Signals.wheelbase
    names = ('steering_angle', 'speed')
    recorded = np.array([samples.command(m, names, wheelbase) for m in reader.messages([topic])])
    if not np.isfinite(recorded[:, 0]).any():
        raise BagError(f'{reader.path}, {topic}: the robot never moves, there is nothing to learn')
    angle = _round_up(np.nanmax(np.abs(recorded[:, 0])) * ROOM, 0.05)
    speed = _round_up(np.nanmax(np.abs(recorded[:, 1])) * ROOM, 0.5)
    slowest = -speed if np.nanmin(recorded[:, 1]) < 0 else 0.0
    return (
        CommandSpec('steering_angle', 'rad', -angle, angle),
        CommandSpec('speed', 'm/s', slowest, speed),
    )


def _round_up(value: float, unit: float) -> float:
    return round(max(math.ceil(value / unit), 1) * unit, 6)
