"""Which topic of a bag plays which part: camera, IMU, odometry, commands."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from liquid_control.bags.errors import TopicError

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
IMU_TYPES = ('sensor_msgs/msg/Imu',)
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
    'image': IMAGE_TYPES,
    'imu': IMU_TYPES,
    'odom': ODOM_TYPES,
    'mode': MODE_TYPES,
    'override': COMMAND_TYPES,
}

# A person's commands, not what was sent to the robot; and another form of the same pictures.
_OVERRIDE = 'cmd_vel_override'
_COMPRESSED = '/compressed'
# Forms of pictures that are no pictures to us, by the names that image_transport gives them.
_NO_PICTURES = ('/compressedDepth', '/zstd', '/theora', '/ffmpeg', '/foxglove', '/draco')
# What a camera that measures distance publishes beside its colours.
_BESIDES = re.compile(r'depth|disparity|confidence|infra|(?:^|[/_])ir(?:[/_]|$)', re.IGNORECASE)


@dataclass(frozen=True)
class TopicRoles:
    """Names of the topics, None where a bag has no such topic."""

    image: str | None = None
    imu: str | None = None
    odom: str | None = None
    command: str | None = None


def infer_topics(
    topics: Mapping[str, str],
    *,
    image: str | None = None,
    imu: str | None = None,
    odom: str | None = None,
    command: str | None = None,
    optional: Collection[str] = (),
) -> TopicRoles:
    """Find the topics' parts by their types, the command first.

    Args:
        topics: Type of each topic, as `BagReader.filled`.
        image: Topic to take, where the user named one; the same for the other parts. An odometry
            topic may be named as `command`: its speed and yaw rate are then what was commanded.
        optional: Parts that are left out where several topics could play them.

    Raises:
        TopicError: Several topics could play a part, or the one named cannot.
    """
    named = {'command': command, 'image': image, 'imu': imu, 'odom': odom}
    return TopicRoles(
        **{
            role: find_topic(topics, role, name, optional=role in optional)
            for role, name in named.items()
        }
    )


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
        role: command, image, imu, odom, mode or override.
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
            f'several topics could be the {role}: {", ".join(found)}; name one with --{role}-topic'
        )
    return found[0] if len(found) == 1 else None


def candidates(topics: Mapping[str, str], role: str) -> list[str]:
    """Topics that could play a part, without those that only repeat another in another form."""
    found = _of_type(topics, role)
    if role in ('command', 'override'):
        arrays = [name for name in found if topics[name] == _ARRAY]
        found = [name for name in found if name not in arrays] or [
            name for name in arrays if name.endswith(_ARRAY_TOPIC)
        ]
        return [name for name in found if name.endswith(_OVERRIDE) == (role == 'override')]
    if role != 'image':
        return found
    pictures = [
        name
        for name in found
        if not name.endswith(_NO_PICTURES)
        and not (name.endswith(_COMPRESSED) and name.removesuffix(_COMPRESSED) in found)
    ]
    return [name for name in pictures if not _BESIDES.search(name)] or pictures


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
