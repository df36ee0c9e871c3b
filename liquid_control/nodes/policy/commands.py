"""Commands on the wire: publishing in the form the robot takes, and listening to a person."""

from __future__ import annotations

import fnmatch
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from liquid_control.common.errors import ConfigError
from liquid_control.nodes.common.inbox import OwnThread
from liquid_control.runtime.control.command import MIN_SPEED, check_names, from_twist, to_twist

COMMAND_TYPES = ('twist_stamped', 'twist', 'ackermann')
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


class CommandPort:
    """Publishes a policy's command vector on `cmd_vel`; takes `cmd_vel_override`."""

    def __init__(
        self,
        node: Node,
        *,
        command_type: str,
        names: Sequence[str],
        wheelbase: float,
        frame_id: str,
        passive_listeners: Sequence[str] = PASSIVE_LISTENERS,
    ) -> None:
        """Make publisher and subscription.

        Args:
            command_type: one of `COMMAND_TYPES`; decides the type of both topics.
            names: command names of the policy, see runtime/control/command.py.
            wheelbase: m.
            passive_listeners: names of nodes that only watch, with the wildcards of a shell.

        Raises:
            ConfigError: the command vector does not fit the type, or ackermann_msgs is missing.
        """
        self._node = node
        self._names = tuple(names)
        self._wheelbase = wheelbase
        self._passive = tuple(passive_listeners)
        self._stamped = command_type != 'twist'
        self._type = message_type = _message_type(command_type, self._names)
        self._fill, self._values = (
            (self._fill_ackermann, self._ackermann_values)
            if command_type == 'ackermann'
            else (self._fill_twist, self._twist_values)
        )
        self._type_name = '/'.join(
            (*message_type.__module__.split('.')[:2], message_type.__name__)
        )
        self._message = message_type()
        if self._stamped:
            self._message.header.frame_id = frame_id
        self._publisher = node.create_publisher(message_type, 'cmd_vel', COMMAND_QOS)
        self.overrides = node.create_subscription(
            message_type,
            'cmd_vel_override',
            lambda message: None,
            OVERRIDE_QOS,
            callback_group=OwnThread(),
        )
        """The subscription, for whoever waits for it."""

    def publish(self, values: Sequence[float], stamp: Any) -> None:
        """Send a command vector; stamp: builtin_interfaces/Time."""
        if self._stamped:
            self._message.header.stamp = stamp
        self._fill(self._message, values)
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
            each.topic_type == self._type_name and not self._is_passive(each.node_name)
            for each in known
        )

    @property
    def rivals(self) -> int:
        """How many other publishers the command topic has."""
        return int(self._node.count_publishers(self.topic)) - 1

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)
        self._node.destroy_subscription(self.overrides)

    def take_override(self) -> Override | None:
        """The newest of a person's commands, None where none has come; one thread at a time."""
        newest = None
        for _ in range(_LONGEST_QUEUE):
            taken = self.overrides.handle.take_message(self._type, False)
            if taken is None:
                break
            newest = taken
        if newest is None:
            return None
        message, received_ns = newest[0], newest[1].get('received_timestamp', 0)
        return Override(
            values=self._values(message),
            stamp_ns=self._stamp_ns(message),
            waited_ns=max(0, time.time_ns() - received_ns) if received_ns else 0,
        )

    def _stamp_ns(self, message: Any) -> int | None:
        if not self._stamped:
            return None
        stamp = message.header.stamp
        return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec) or None

    def _is_passive(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._passive)

    def _fill_twist(self, message: Any, values: Sequence[float]) -> None:
        twist = message.twist if self._stamped else message
        twist.linear.x, twist.angular.z = to_twist(self._names, values, self._wheelbase)

    def _twist_values(self, message: Any) -> tuple[float, ...]:
        twist = message.twist if self._stamped else message
        linear, angular = twist.linear.x, twist.angular.z
        values = from_twist(self._names, linear, angular, self._wheelbase)
        if abs(linear) <= MIN_SPEED and math.isfinite(angular) and 'steering_angle' in self._names:
            # At rest a Twist says nothing about the steering angle: straight ahead.
            return tuple(0.0 if math.isnan(value) else value for value in values)
        return values

    def _fill_ackermann(self, message: Any, values: Sequence[float]) -> None:
        command = dict(zip(self._names, values, strict=True))
        message.drive.steering_angle = float(command['steering_angle'])
        message.drive.speed = float(command['speed'])

    def _ackermann_values(self, message: Any) -> tuple[float, ...]:
        drive = {'steering_angle': message.drive.steering_angle, 'speed': message.drive.speed}
        return tuple(drive[name] for name in self._names)


def _message_type(command_type: str, names: tuple[str, ...]) -> Any:
    if command_type != 'ackermann':
        check_names(names)
        return TwistStamped if command_type == 'twist_stamped' else Twist
    if sorted(names) != ['speed', 'steering_angle']:
        raise ConfigError(
            f'command_type ackermann needs the commands steering_angle and speed, the policy has '
            f'{list(names)}; use twist_stamped'
        )
    try:
        from ackermann_msgs.msg import AckermannDriveStamped
    except ImportError as error:
        raise ConfigError(
            'command_type ackermann needs the package ackermann_msgs: '
            'apt-get install ros-$ROS_DISTRO-ackermann-msgs'
        ) from error
    return AckermannDriveStamped
