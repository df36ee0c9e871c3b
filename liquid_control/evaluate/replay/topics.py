"""Which topics of a bag a policy is replayed on and compared with."""

from __future__ import annotations

from liquid_control.bags.errors import TopicError
from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import (
    COMMAND_TYPES,
    IMAGE_TYPES,
    IMU_TYPES,
    ODOM_TYPES,
    TopicRoles,
    find_topic,
)
from liquid_control.contract.contract import Contract


def choose_topics(
    reader: BagReader,
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
        image, imu, odom, command: topics that the user named.
        need_command: whether a bag without commands is refused.

    Raises:
        TopicError: one is missing, several could play the part, or the one named cannot.
    """
    named = {'command': command, 'image': image, 'imu': imu, 'odom': odom}
    types = {
        'command': COMMAND_TYPES,
        'image': IMAGE_TYPES if contract.image else (),
        'imu': IMU_TYPES if contract.imu else (),
        'odom': ODOM_TYPES if contract.speed else (),
    }
    found: dict[str, str | None] = {}
    for part, kinds in types.items():
        topic = named[part]
        if not kinds:  # what the policy does not use cannot be ambiguous
            if topic is not None:
                raise TopicError(f'policy {contract.name} has no input for --{part}-topic {topic}')
            continue
        needed = need_command or part != 'command'
        found[part] = find_topic(reader.filled, part, topic, optional=not needed)
        if needed and found[part] is None:
            hint = f'; --{part}-topic may also name an Odometry' if part == 'command' else ''
            raise TopicError(
                f'policy {contract.name} needs a topic for {part} of type {" or ".join(kinds)}'
                f'{hint}; the bag has {reader.describe()}'
            )
    return TopicRoles(**found)
