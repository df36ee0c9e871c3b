"""What a bag says over time: pictures, sensors, commands, who drove; each kind sorted by stamp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.clock import Jump, in_one_clock
from liquid_control.bags.errors import TopicError
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.bags.refusals import Refusals
from liquid_control.bags.topics import TopicRoles, candidates, find_topic, infer_takeover
from liquid_control.common.errors import ImageError, SensorError
from liquid_control.contract.modes import Mode
from liquid_control.learn.data.segments import Stamps
from liquid_control.learn.data.signals import Signals
from liquid_control.runtime.sensing.image import Preprocessor
from liquid_control.runtime.sensing.observation import imu_refusal, speed_refusal

# Older overrides are of no takeover that still lasts, ns: the largest override_timeout of the
# policy node.
_MAX_OVERRIDE_NS = 5_000_000_000
# After this much silence a person has let go, ns: the node's default override_timeout.
_LET_GO_NS = 500_000_000
# More pictures that cannot be read are no accident.
MAX_BAD_PICTURES = 0.1


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
    frame: number of each picture in the bag, by its place in their file
    topics: of the kinds that are used
    refusals: messages that the robot would not have taken either
    jumps: of the clock; where it goes back, what follows is shifted so that time runs on
    """

    image: Series
    imu: Series
    speed: Series
    motion: Series
    command: Series
    mode: Series
    frame: NDArray[np.int64]
    topics: dict[str, str]
    refusals: Refusals
    jumps: tuple[Jump, ...]


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
    collected = _Collected(reader, signals, roles, mode, override, images)
    topics = {roles.image, roles.imu, roles.odom, roles.command, mode, override} - {None, ''}
    max_age = {
        topic: spec.max_age
        for topic, spec in (
            (roles.image, signals.image),
            (roles.imu, signals.imu),
            (roles.odom, signals.speed),
        )
        if topic is not None and spec is not None
    }
    jumps: list[Jump] = []
    messages = reader.messages({topic for topic in topics if topic})
    for message in in_one_clock(messages, collected.refusals, max_age, {mode}):
        if isinstance(message, Jump):
            jumps.append(message)
            collected.shift_ns = message.shift_ns
            continue
        if message.topic == roles.image:
            on_picture()
        collected.take(message)
    collected.check_pictures()
    kinds = collected.series()
    command = _with_overrides(kinds['command'], kinds.pop('override'), kinds['mode'])
    kinds['command'] = _without_spikes(command, roles.command or '', collected.refusals)
    used = {'image': roles.image, 'imu': roles.imu, 'speed': roles.odom, 'command': roles.command}
    return Streams(
        **kinds,
        frame=np.array(collected.frames, np.int64),
        topics={kind: topic for kind, topic in used.items() if topic is not None},
        refusals=collected.refusals,
        jumps=tuple(jumps),
    )


class _Collected:
    """What messages say, by kind; those that the robot would refuse are counted."""

    def __init__(
        self,
        reader: BagReader,
        signals: Signals,
        roles: TopicRoles,
        mode: str | None,
        override: str | None,
        images: BinaryIO,
    ) -> None:
        self.refusals = Refusals()
        self.shift_ns = 0
        self.frames: list[int] = []
        """Number of each picture among all that could be told in time, also unreadable ones."""
        self._reader = reader
        self._roles = roles
        self._mode = mode
        self._override = override
        self._images = images
        self._preprocess = Preprocessor(signals.image) if signals.image is not None else None
        self._uses_speed = signals.speed is not None
        self._names, self._wheelbase = signals.command_names, signals.wheelbase
        self._pictures = 0
        self._found: dict[str, tuple[list[int], list[Any]]] = {
            kind: ([], [])
            for kind in ('image', 'imu', 'speed', 'motion', 'command', 'mode', 'override')
        }

    def take(self, message: BagMessage) -> None:
        """Take in a message by its topic; one topic may play two parts."""
        topic, roles = message.topic, self._roles
        try:
            if topic == roles.image:
                self._picture(message)
            elif topic == roles.imu:
                imu = samples.imu(self._reader, message)
                self._add('imu', message, imu, imu_refusal(imu))
            elif topic == self._mode:
                self._add('mode', message, message.value.mode)
            elif topic == self._override:
                self._add('override', message, self._command(message))
            if topic == roles.odom:
                self._motion(message)
            if topic == roles.command:
                self._add('command', message, self._command(message))
        except ImageError as error:
            self._refuse('picture', message, error)
        except SensorError as error:
            self._refuse('value', message, error)

    def check_pictures(self) -> None:
        """Raise ImageError where so many pictures are no use that something else is wrong."""
        topic = self._roles.image or ''
        bad = self.refusals.count(topic, 'picture')
        if bad > MAX_BAD_PICTURES * self._pictures:
            raise ImageError(
                f'{self._reader.path}: {self.refusals.lines(topic, "picture")[0]}; more than '
                f'{MAX_BAD_PICTURES:.0%} of the pictures are of no use'
            )

    def series(self) -> dict[str, Series]:
        """All kinds, sorted."""
        return {
            kind: Series.sorted(*lists, np.int64 if kind in ('image', 'mode') else np.float32)
            for kind, lists in self._found.items()
        }

    def _add(self, kind: str, message: BagMessage, value: Any, refusal: str = '') -> None:
        if refusal:
            raise SensorError(refusal)
        stamps, values = self._found[kind]
        stamps.append(message.stamp_ns + self.shift_ns)
        values.append(value)

    def _picture(self, message: BagMessage) -> None:
        self._pictures += 1
        if self._preprocess is not None:
            pixels = self._preprocess(samples.picture(self._reader, message))
            self._images.write(pixels.tobytes())
            self._add('image', message, len(self.frames))
            self.frames.append(self._pictures - 1)

    def _motion(self, message: BagMessage) -> None:
        motion = samples.motion(message)
        if np.isfinite(motion).all():
            self._add('motion', message, motion)
        if self._uses_speed:
            speed = samples.speed(self._reader, message)
            self._add('speed', message, [speed], speed_refusal(speed))

    def _command(self, message: BagMessage) -> tuple[float, ...]:
        return samples.command(message, self._names, self._wheelbase)

    def _refuse(self, kind: str, message: BagMessage, error: Exception) -> None:
        self.refusals.add(message.topic, kind, str(error), message.stamp_ns, message.number)


def _roles(
    reader: BagReader, signals: Signals
) -> tuple[TopicRoles, tuple[str | None, str | None]]:
    """Topics that are wanted, and those of mode and override."""
    named, topics = signals.topics, reader.filled
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
            f'{reader.path} has no topic for {", ".join(missing)}; it has {reader.describe()}'
        )
    found = {role: find_topic(topics, role, getattr(named, role)) for role in roles}
    # Odometry tells where a push came, if there is a steering angle to compare with.
    if 'odom' not in found and 'steering_angle' in signals.command_names:
        found['odom'] = find_topic(topics, 'odom', named.odom, optional=True)
    wanted = TopicRoles(**found)
    return wanted, infer_takeover(topics, mode=named.mode, override=named.override)


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


def _without_spikes(command: Series, topic: str, refusals: Refusals) -> Series:
    """Commands that nobody meant are unknown; each is counted and the first is named."""
    if not len(command):
        return command
    spiked = np.zeros(len(command), bool)
    for column in command.values.reshape(len(command), -1).T:
        spiked |= samples.spikes(column)
    for index in np.flatnonzero(spiked):
        values = ', '.join(f'{value:g}' for value in command.values[index])
        why = f'command is far beyond all others: {values}'
        refusals.add(topic, 'spike', why, int(command.stamps[index]), int(index))
    if not spiked.any():
        return command
    values = command.values.copy()
    values[spiked] = np.nan
    return Series(command.stamps, values)
