"""Commands on the wire: publishing in the form the robot takes, and listening to a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from liquid_control.runtime.command import MIN_SPEED, check_names, from_twist, to_twist
from liquid_control.runtime.errors import ConfigError

COMMAND_TYPES = ('twist_stamped', 'twist', 'ackermann')
COMMAND_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


class CommandPort:
    """Publishes a policy's command vector on `cmd_vel`; passes `cmd_vel_override` on."""

    def __init__(
        self,
        node: Node,
        *,
        command_type: str,
        names: Sequence[str],
        wheelbase: float,
        frame_id: str,
        on_override: Callable[[tuple[float, ...]], None],
    ) -> None:
        """Make publisher and subscription.

        Args:
            command_type: one of `COMMAND_TYPES`; decides the type of both topics.
            names: command names of the policy, see runtime/command.py.
            wheelbase: m.
            on_override: takes a person's command vector, in the order of `names`.

        Raises:
            ConfigError: the command vector does not fit the type, or ackermann_msgs is missing.
        """
        self._node = node
        self._names = tuple(names)
        self._wheelbase = wheelbase
        self._on_override = on_override
        self._stamped = command_type != 'twist'
        message_type = _message_type(command_type, self._names)
        self._fill, self._values = (
            (self._fill_ackermann, self._ackermann_values)
            if command_type == 'ackermann'
            else (self._fill_twist, self._twist_values)
        )
        self._message = message_type()
        if self._stamped:
            self._message.header.frame_id = frame_id
        self._publisher = node.create_publisher(message_type, 'cmd_vel', COMMAND_QOS)
        self._subscription = node.create_subscription(
            message_type, 'cmd_vel_override', self._receive, COMMAND_QOS
        )

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
        """How many subscribers the command has."""
        return int(self._publisher.get_subscription_count())

    @property
    def rivals(self) -> int:
        """How many other publishers the command topic has."""
        return int(self._node.count_publishers(self.topic)) - 1

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)
        self._node.destroy_subscription(self._subscription)

    def _receive(self, message: Any) -> None:
        self._on_override(self._values(message))

    def _fill_twist(self, message: Any, values: Sequence[float]) -> None:
        twist = message.twist if self._stamped else message
        twist.linear.x, twist.angular.z = to_twist(self._names, values, self._wheelbase)

    def _twist_values(self, message: Any) -> tuple[float, ...]:
        twist = message.twist if self._stamped else message
        linear, angular = twist.linear.x, twist.angular.z
        if abs(linear) <= MIN_SPEED and math.isfinite(angular):
            # At rest a Twist says nothing about the steering angle: straight ahead.
            return tuple(0.0 for _ in self._names)
        return from_twist(self._names, linear, angular, self._wheelbase)

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
