# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Which topic of a bag plays which part: commands, who drove, how the robot moved.

Those of a policy's inputs: input_topics.py.
"""

from collections.abc import Mapping

from liquid_control.bags.errors import TopicError

ODOM_TYPES = ('nav_msgs/msg/Odometry',)
MODE_TYPES = ('liquid_control/msg/ControlMode',)
COMMAND_TYPES = (
    'geometry_msgs/msg/TwistStamped',
    'geometry_msgs/msg/Twist',
    'ackermann_msgs/msg/AckermannDriveStamped',
    'std_msgs/msg/Float64MultiArray',
)
# Arrays may be anything: they are commands where the controllers of ros2_control listen.
_ARRAY, _ARRAY_TOPIC = COMMAND_TYPES[-1], ('/commands', 'cmd_vel_override')

_TYPES = {
    'command': COMMAND_TYPES,
    'odom': ODOM_TYPES,
    'mode': MODE_TYPES,
    'override': COMMAND_TYPES,
}

# A person's commands, not what was sent to the robot.
_OVERRIDE = 'cmd_vel_override'


def infer_takeover(
    topics: Mapping[str, str], *, mode: str | None = None, override: str | None = None
) -> tuple[str | None, str | None]:
    """Find who drove and what a person commanded who took over: topics of the policy node.

    Args:
        topics: Type of each topic, as `BagReader.filled`.
        mode, override: Topics to take, where the user named them.

    Raises:
        TopicError: Several topics could play a part, or the one named cannot.
    """
    return find_topic(topics, 'mode', mode), find_topic(topics, 'override', override)


def find_topic(
    topics: Mapping[str, str], role: str, named: str | None = None, *, optional: bool = False
) -> str | None:
    """Find the topic that plays one part, None where there is none.

    Args:
        topics: Type of each topic, as `BagReader.filled`.
        role: command, odom, mode or override.
        named: Topic to take, where the user named one.
        optional: None also where several could play it.

    Raises:
        TopicError: Several topics could play the part, or the one named cannot.
    """
    if named is not None:
        return _checked(topics, role, named)
    found = candidates(topics, role)
    if len(found) > 1 and not optional:
        raise TopicError(
            f'several topics could be the {role}: {", ".join(found)}; name one with --topic '
            f'{role}=TOPIC'
        )
    return found[0] if len(found) == 1 else None


def candidates(topics: Mapping[str, str], role: str) -> list[str]:
    """Topics that could play a part."""
    found = _of_type(topics, role)
    if role in ('command', 'override'):
        arrays = [name for name in found if topics[name] == _ARRAY]
        found = [name for name in found if name not in arrays] or [
            name for name in arrays if name.endswith(_ARRAY_TOPIC)
        ]
        return [name for name in found if name.endswith(_OVERRIDE) == (role == 'override')]
    return found


def _of_type(topics: Mapping[str, str], role: str) -> list[str]:
    return sorted(name for name, msgtype in topics.items() if msgtype in _TYPES[role])


def _checked(topics: Mapping[str, str], role: str, named: str) -> str:
    types = _TYPES[role] + ODOM_TYPES if role == 'command' else _TYPES[role]
    if topics.get(named) not in types:
        found = topics.get(named)
        raise TopicError(
            f'{named} cannot be the {role} topic: expected {" or ".join(types)}, '
            f'{f"it is {found}" if found else "the bag has no such topic with messages"}; '
            f'possible: {", ".join(_of_type(topics, role)) or "none"}'
        )
    return named
