"""Which topic of a bag plays which part: camera, IMU, odometry, commands."""

from collections.abc import Mapping
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
)

# A person's commands, not what was sent to the robot; and another form of the same pictures.
_OVERRIDE = 'cmd_vel_override'
_COMPRESSED = '/compressed'


@dataclass(frozen=True)
class TopicRoles:
    """Names of the topics, None where a bag has no such topic."""

    image: str | None = None
    imu: str | None = None
    odom: str | None = None
    command: str | None = None


def guess_topics(
    topics: Mapping[str, str],
    *,
    image: str | None = None,
    imu: str | None = None,
    odom: str | None = None,
    command: str | None = None,
) -> TopicRoles:
    """Find the topics' parts by their types.

    Args:
        topics: Type of each topic, as `BagReader.topics`.
        image: Topic to take, where the user named one; the same for the other parts. An odometry
            topic may be named as `command`: its speed and yaw rate are then what was commanded.

    Raises:
        TopicError: Several topics could play a part, or the one named cannot.
    """
    return TopicRoles(
        image=_find(topics, 'image', image, IMAGE_TYPES),
        imu=_find(topics, 'imu', imu, IMU_TYPES),
        odom=_find(topics, 'odom', odom, ODOM_TYPES),
        command=_find(
            topics, 'command', command, COMMAND_TYPES + ODOM_TYPES if command else COMMAND_TYPES
        ),
    )


def guess_takeover(
    topics: Mapping[str, str], *, mode: str | None = None, override: str | None = None
) -> tuple[str | None, str | None]:
    """Find who drove and what a person commanded who took over: topics of the policy node.

    Args:
        topics: Type of each topic, as `BagReader.topics`.
        mode, override: Topics to take, where the user named them.

    Raises:
        TopicError: Several topics could play a part, or the one named cannot.
    """
    return (
        _find(topics, 'mode', mode, MODE_TYPES),
        _find(topics, 'override', override, COMMAND_TYPES, is_override=True),
    )


def _find(
    topics: Mapping[str, str],
    role: str,
    named: str | None,
    types: tuple[str, ...],
    *,
    is_override: bool = False,
) -> str | None:
    candidates = sorted(name for name, msgtype in topics.items() if msgtype in types)
    if named is not None:
        if named not in candidates:
            found = topics.get(named)
            raise TopicError(
                f'{named} cannot be the {role} topic: expected {" or ".join(types)}, '
                f'{f"it is {found}" if found else "the bag has no such topic"}; '
                f'possible: {", ".join(candidates) or "none"}'
            )
        return named
    plain = [
        name
        for name in candidates
        if name.endswith(_OVERRIDE) == is_override
        and not (name.endswith(_COMPRESSED) and name.removesuffix(_COMPRESSED) in candidates)
    ]
    if len(plain) > 1:
        raise TopicError(
            f'several topics could be the {role}: {", ".join(plain)}; name one of them'
        )
    return plain[0] if plain else None
