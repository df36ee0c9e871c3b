# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Commands on the wire: publishing in the form the robot takes, and listening to a person."""

from __future__ import annotations

import fnmatch
import importlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from liquid_control.common.errors import ConfigError
from liquid_control.common.stamps import ns_of
from liquid_control.contract.commands import check_together
from liquid_control.contract.px4 import to_world
from liquid_control.contract.wire import FORMS, Form, Told, check_carried, unused, vector
from liquid_control.nodes.common.inbox import OwnThread
from liquid_control.nodes.policy.px4 import OffboardMode

COMMAND_TYPES = tuple(FORMS)
COMMAND_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Heard whatever a person's hand offers: a reliable subscription would not match a publisher that
# is best effort, as those of microcontrollers and radios are, and would say nothing.
OVERRIDE_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


# Nodes that listen to commands and do not act on them.
PASSIVE_LISTENERS = (
    '*recorder*',
    'rosbag2_*',
    '_ros2cli*',
    'foxglove_bridge*',
    'rosbridge*',
    'rqt*',
    'rviz*',
    'plotjuggler*',
)
# How many waiting overrides are looked at in one go; the topic keeps one.
_LONGEST_QUEUE = 10


@dataclass(frozen=True)
class Override:
    """A person's command."""

    values: tuple[float, ...]
    stamp_ns: int | None
    """When it was given, None where it does not say."""
    waited_ns: int
    """How long it lay here before it was taken."""
    unused: tuple[str, ...] = ()
    """Axes that it asks something of and that are not commanded."""


class CommandPort:
    """Publishes a policy's command vector on `cmd_vel`; takes `cmd_vel_override`."""

    def __init__(
        self,
        node: Node,
        *,
        command_type: str,
        names: Sequence[str],
        wheelbase: float | None,
        frame_id: str,
        passive_listeners: Sequence[str] = PASSIVE_LISTENERS,
    ) -> None:
        """Make publisher and subscription.

        Args:
            command_type: one of `COMMAND_TYPES`; decides the type of both topics.
            names: command names of the policy, see contract/commands.py.
            wheelbase: m; None: the robot has no steered wheels.
            passive_listeners: names of nodes that only watch, with the wildcards of a shell.

        Raises:
            ConfigError: the command vector does not fit the type, or its package is missing.
        """
        self._node = node
        self._names = tuple(names)
        self._wheelbase = wheelbase
        self._passive = tuple(passive_listeners)
        self._form = form = _form(command_type, self._names)
        message_type = import_message(form)
        self._message = message_type()
        if form.stamped:
            self._message.header.frame_id = frame_id
        self._publisher = node.create_publisher(message_type, 'cmd_vel', COMMAND_QOS)
        self._px4 = OffboardMode(node) if form.in_world else None
        self._hand = FORMS[form.override] if form.override else form
        self._hand_type = import_message(self._hand)
        self.overrides = node.create_subscription(
            self._hand_type,
            'cmd_vel_override',
            lambda message: None,
            OVERRIDE_QOS,
            callback_group=OwnThread(),
        )
        """The subscription, for whoever waits for it."""

    @property
    def in_world(self) -> bool:
        """Whether who publishes must know the robot's yaw."""
        return self._form.in_world

    def publish(
        self, values: Sequence[float], stamp: Any, yaw: float = 0.0, *, offboard: bool = True
    ) -> None:
        """Send a command vector.

        Args:
            stamp: builtin_interfaces/Time.
            yaw: of the robot, rad, where commands are of the world's frame.
            offboard: whether the flight controller is in that mode. PX4's own messages reach its
                controllers in every mode, so outside of it only the sign of life is sent.
        """
        if self._form.stamped:
            self._message.header.stamp = stamp
        told = dict(zip(self._names, values, strict=True))
        if self._px4 is not None:
            told = to_world(told, yaw)
            self._px4.announce(self._message, stamp)
            if not offboard:
                return
        self._form.write(self._message, told, self._wheelbase)
        self._publisher.publish(self._message)

    @property
    def topic(self) -> str:
        """Full name of the command topic."""
        return str(self._publisher.topic_name)

    @property
    def listeners(self) -> int:
        """How many nodes listen that act on the command, as far as name and type tell."""
        if not self._publisher.get_subscription_count():
            return 0
        known = self._node.get_subscriptions_info_by_topic(self.topic)
        return sum(
            each.topic_type == self._form.msgtype and not self._is_passive(each.node_name)
            for each in known
        )

    @property
    def rivals(self) -> int:
        """How many other publishers the command topic has."""
        return int(self._node.count_publishers(self.topic)) - 1

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)
        if self._px4 is not None:
            self._px4.close()
        self._node.destroy_subscription(self.overrides)

    def take_override(self) -> Override | None:
        """The newest of a person's commands, None where none has come; one thread at a time.

        Raises:
            ValueError: the message cannot be a command of this robot.
        """
        newest = None
        for _ in range(_LONGEST_QUEUE):
            taken = self.overrides.handle.take_message(self._hand_type, False)
            if taken is None:
                break
            newest = taken
        if newest is None:
            return None
        message, received_ns = newest[0], newest[1].get('received_timestamp', 0)
        told = self._hand.read(message, self._names)
        return Override(
            values=self._values(told),
            stamp_ns=self._stamp_ns(message),
            waited_ns=max(0, time.time_ns() - received_ns) if received_ns else 0,
            unused=tuple(unused(told, self._names)),
        )

    def _stamp_ns(self, message: Any) -> int | None:
        if not self._hand.stamped:
            return None
        stamp = message.header.stamp
        return ns_of(stamp) or None

    def _is_passive(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._passive)

    def _values(self, told: Told) -> tuple[float, ...]:
        values = vector(told, self._names, self._wheelbase)
        if all(map(math.isfinite, told.values())):
            # At rest a Twist says nothing about the steering angle: straight ahead.
            return tuple(0.0 if math.isnan(value) else value for value in values)
        return values


def _form(command_type: str, names: tuple[str, ...]) -> Form:
    """The form that the commands are sent in. Raises ConfigError."""
    check_together(names)
    form = FORMS[command_type]
    check_carried(f'command_type {command_type}', form, names)
    if missing := [name for name in form.whole if name not in names]:
        raise ConfigError(
            f'command_type {command_type} needs the commands {" and ".join(form.whole)}, the '
            f'policy commands {", ".join(names)} and no {missing[0]}: use twist_stamped'
        )
    return form


def import_message(form: Form) -> Any:
    """The Python class of a form's message. Raises ConfigError where its package is missing."""
    return import_type(form.msgtype, form.package)


def import_type(msgtype: str, remedy: str = '') -> Any:
    """The Python class of messages of a type such as geometry_msgs/msg/Twist.

    Args:
        remedy: where its package comes from, if apt does not have it.

    Raises:
        ConfigError: its package is missing.
    """
    package, _, kind = msgtype.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), kind)
    except ImportError as error:
        default = f'apt-get install ros-$ROS_DISTRO-{package.replace("_", "-")}'
        raise ConfigError(f'{kind} needs the package {package}: {remedy or default}') from error
