"""What a bag says over time: pictures, sensors, commands, who drove; each kind sorted by stamp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.errors import TopicError
from liquid_control.bags.reader import BagMessage, BagReader, describe
from liquid_control.bags.topics import TopicRoles, candidates, find_topic, guess_takeover
from liquid_control.learn.signals import Signals
from liquid_control.learn.stretches import Stamps
from liquid_control.runtime.controller import Mode
from liquid_control.runtime.errors import ImageError
from liquid_control.runtime.image import Preprocessor

# Older overrides are of no takeover that still lasts, ns: the largest override_timeout of the
# policy node.
_MAX_OVERRIDE_NS = 5_000_000_000
# After this much silence a person has let go, ns: the node's default override_timeout.
_LET_GO_NS = 500_000_000


@dataclass(frozen=True)
class Series:
    """Samples [N, ...] and their stamps (ns), sorted; of equal stamps the first is kept."""

    stamps: Stamps
    values: NDArray[Any]

    @classmethod
    def sorted(cls, stamps: Sequence[int] | Stamps, values: Any, dtype: type) -> Series:
        """Samples in any order."""
        unique, order = np.unique(np.asarray(stamps, np.int64), return_index=True)
        return cls(unique, np.asarray(values, dtype)[order])

    def __len__(self) -> int:
        return len(self.stamps)

    def newest(self, ticks: Stamps) -> NDArray[np.int64]:
        """Index of the newest sample at or before each tick, -1 where there is none."""
        return np.searchsorted(self.stamps, ticks, side='right') - 1


@dataclass(frozen=True)
class Streams:
    """A bag's series; of unused kinds empty.

    image: places of the pictures in their file
    imu: linear acceleration (m/s^2), angular velocity (rad/s), [N, 6]
    speed: m/s, [N, 1]
    motion: speed (m/s) and yaw rate (rad/s) by odometry, [N, 2]
    command: in the commands' units, [N, C], NaN where unknown
    mode: of `runtime.controller.Mode`
    """

    image: Series
    imu: Series
    speed: Series
    motion: Series
    command: Series
    mode: Series


def read_streams(
    reader: BagReader, signals: Signals, images: BinaryIO, on_picture: Callable[[], None]
) -> Streams:
    """Read a bag once, from its beginning to its end.

    Args:
        images: takes the pictures as the network sees them, uint8, one after the other.
        on_picture: called for each; what it raises ends the reading.

    Raises:
        BagError, TopicError, ImageError: the bag cannot be learnt from.
    """
    roles, (mode, override) = _roles(reader, signals)
    found: dict[str, tuple[list[int], list[Any]]] = {
        kind: ([], [])
        for kind in ('image', 'imu', 'speed', 'motion', 'command', 'mode', 'override')
    }

    def add(kind: str, message: BagMessage, value: Any) -> None:
        stamps, values = found[kind]
        stamps.append(message.stamp_ns)
        values.append(value)

    preprocess = Preprocessor(signals.image) if signals.image is not None else None
    names, wheelbase = signals.command_names, signals.wheelbase
    topics = (roles.image, roles.imu, roles.odom, roles.command, mode, override)
    for message in reader.messages({topic for topic in topics if topic}):
        topic = message.topic
        if topic == roles.image and preprocess is not None:
            on_picture()
            try:
                images.write(preprocess(samples.picture(reader, message)).tobytes())
            except ImageError as error:
                raise ImageError(f'{reader.path}, {topic}: {error}') from error
            add('image', message, len(found['image'][0]))
        elif topic == roles.imu:
            values = samples.imu(reader, message)
            # As live: what is not finite is refused, the one before it grows older.
            if np.isfinite(values).all():
                add('imu', message, values)
        elif topic == mode:
            add('mode', message, message.value.mode)
        elif topic == override:
            add('override', message, samples.command(message, names, wheelbase))
        # Not elif: odometry may stand for the commands.
        if topic == roles.odom:
            add('motion', message, samples.motion(message))
            if signals.speed is not None:
                add('speed', message, [samples.speed(reader, message)])
        if topic == roles.command:
            add('command', message, samples.command(message, names, wheelbase))
    kinds = {
        kind: Series.sorted(*lists, np.int64 if kind in ('image', 'mode') else np.float32)
        for kind, lists in found.items()
    }
    kinds['command'] = _with_overrides(kinds['command'], kinds.pop('override'), kinds['mode'])
    return Streams(**kinds)


def _roles(
    reader: BagReader, signals: Signals
) -> tuple[TopicRoles, tuple[str | None, str | None]]:
    """Topics that are wanted, and those of mode and override."""
    named, topics = signals.topics, reader.topics
    needed = {
        'command': True,
        'image': signals.image is not None,
        'imu': signals.imu is not None,
        'odom': signals.speed is not None,
    }
    roles = [role for role, is_needed in needed.items() if is_needed]
    missing = [r for r in roles if getattr(named, r) is None and not candidates(topics, r)]
    if missing:
        raise TopicError(
            f'{reader.path} has no topic for {", ".join(missing)}; it has {describe(topics)}'
        )
    found = {role: find_topic(topics, role, getattr(named, role)) for role in roles}
    # Odometry tells where a push came, if there is a steering angle to compare with.
    if 'odom' not in found and 'steering_angle' in signals.command_names:
        found['odom'] = find_topic(topics, 'odom', named.odom, optional=True)
    wanted = TopicRoles(**found)
    return wanted, guess_takeover(topics, mode=named.mode, override=named.override)


def _with_overrides(command: Series, override: Series, mode: Series) -> Series:
    """Commands to learn from: a person's own words where a person had taken over.

    What was sent to the robot follows them a tick later, joined to the policy's last command, and
    goes on for a while when the person has let go.
    """
    if not len(override) or not len(mode):
        return command
    by_person = mode.values[np.maximum(mode.newest(command.stamps), 0)] == Mode.MANUAL
    last = override.newest(command.stamps)
    age = command.stamps - override.stamps[np.maximum(last, 0)]
    echo = by_person & (last >= 0) & (age <= _MAX_OVERRIDE_NS)
    pause = np.diff(override.stamps, append=np.iinfo(np.int64).max)
    let_go = override.stamps[pause > _LET_GO_NS] + 1
    unknown = np.full((len(let_go), command.values.shape[1]), np.nan)
    return Series.sorted(
        np.concatenate([override.stamps, let_go, command.stamps[~echo]]),
        np.concatenate([override.values, unknown, command.values[~echo]]),
        np.float32,
    )
