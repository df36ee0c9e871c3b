"""Which topics of a bag a policy is replayed on and compared with."""

from __future__ import annotations

from collections.abc import Mapping

from liquid_control.bags.errors import TopicError
from liquid_control.bags.reader import describe
from liquid_control.bags.topics import (
    COMMAND_TYPES,
    IMAGE_TYPES,
    IMU_TYPES,
    ODOM_TYPES,
    TopicRoles,
    guess_topics,
)
from liquid_control.evaluate.errors import ReplayError
from liquid_control.runtime.contract import Contract

_NORMALISED = ('steering', 'throttle')


def choose_topics(
    topics: Mapping[str, str],
    contract: Contract,
    *,
    image: str | None = None,
    imu: str | None = None,
    odom: str | None = None,
    command: str | None = None,
    need_command: bool = True,
) -> TopicRoles:
    """The topics that a policy's inputs and the recorded commands come from.

    Args:
        topics: type of each topic of the bag.
        image, imu, odom, command: topics that the user named.
        need_command: whether a bag without commands is refused.

    Raises:
        TopicError: one is missing, several could play the part, or the one named cannot.
    """
    named = {'image': image, 'imu': imu, 'odom': odom, 'command': command}
    types = {
        'image': IMAGE_TYPES if contract.image else (),
        'imu': IMU_TYPES if contract.imu else (),
        'odom': ODOM_TYPES if contract.speed else (),
        'command': COMMAND_TYPES,
    }
    for part, topic in named.items():
        if topic is not None and not types[part]:
            raise TopicError(f'policy {contract.name} has no input for --{part}-topic {topic}')
    # What the policy does not use cannot be ambiguous.
    used = {msgtype for kinds in types.values() for msgtype in kinds}
    roles = guess_topics(
        {name: kind for name, kind in topics.items() if kind in used or name in named.values()},
        **named,
    )
    for part, kinds in types.items():
        needed = need_command if part == 'command' else bool(kinds)
        if needed and getattr(roles, part) is None:
            hint = f'; --{part}-topic may also name an Odometry' if part == 'command' else ''
            raise TopicError(
                f'policy {contract.name} needs a topic for {part} of type {" or ".join(kinds)}'
                f'{hint}; the bag has {describe(dict(topics))}'
            )
    return roles


def check_command(topic: str, msgtype: str, names: tuple[str, ...]) -> None:
    """Refuse to compare commands of different meaning.

    Args:
        names: of the policy's commands.

    Raises:
        ReplayError: the recorded commands are in SI units, the policy's are not.
    """
    kind = msgtype.rpartition('/')[2]
    if kind in ('AckermannDriveStamped', 'Odometry') and set(names) & set(_NORMALISED):
        raise ReplayError(
            f'{topic} is a {kind} in SI units, the policy commands {", ".join(names)} without '
            'unit: they cannot be compared'
        )
