# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a bag says over time: inputs, commands, who drove; each kind sorted by stamp.

Messages are read as the robot reads them: by the readers of the inputs, and what it would refuse
is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from liquid_control.bags import samples
from liquid_control.bags.clock import Jump, in_one_clock
from liquid_control.bags.input_topics import InputTopics, TopicRole, find_inputs
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.bags.refusals import Refusals
from liquid_control.bags.topics import find_topic, infer_takeover
from liquid_control.common.errors import ImageError, SensorError
from liquid_control.contract.inputs import InputSpec
from liquid_control.contract.modes import Mode
from liquid_control.learn.data.series import Series, told_apart
from liquid_control.learn.data.signals import Signals
from liquid_control.runtime.sensing.image import Preprocessor

# Older overrides are of no takeover that still lasts, ns: the largest override_timeout of the
# policy node.
_MAX_OVERRIDE_NS = 5_000_000_000
# After this much silence a person has let go, ns: the node's default override_timeout.
_LET_GO_NS = 500_000_000
# More images that cannot be read are no accident.
MAX_BAD_IMAGES = 0.1


@dataclass(frozen=True)
class Streams:
    """A bag's series; of unused kinds empty.

    inputs: by name; of vectors [N, W] in their units, of images their places in their files, [N]
    motion: speed (m/s) and yaw rate (rad/s) by odometry, [N, 2]
    command: in the commands' units, [N, C], NaN where unknown
    mode: of `contract.modes.Mode`
    topics: of the inputs, each the one that leads it, and of 'command'
    refusals: messages that the robot would not have taken either
    jumps: of the clock; where it goes back, what follows is shifted so that time runs on
    """

    inputs: Mapping[str, Series]
    motion: Series
    command: Series
    mode: Series
    topics: dict[str, str]
    refusals: Refusals
    jumps: tuple[Jump, ...]

    def used(self) -> dict[str, Series]:
        """What there must be something of at every tick to learn from."""
        return {**self.inputs, 'command': self.command}


@dataclass(frozen=True)
class _Topics:
    """Which topics are read as what."""

    inputs: InputTopics
    command: str
    odom: str | None
    mode: str | None
    override: str | None

    def others(self) -> set[str]:
        """Those that are no input's, or not only."""
        others = self.command, self.odom, self.mode, self.override
        return {topic for topic in others if topic}

    def all(self) -> set[str]:
        return {*self.inputs.parts, *self.others()}


def read_streams(
    reader: BagReader,
    signals: Signals,
    pixels: Mapping[str, BinaryIO],
    on_image: Callable[[], None],
) -> Streams:
    """Read a bag once, from its beginning to its end.

    Args:
        pixels: by the name of an image, takes its frames as the network sees them, uint8, one
            after the other.
        on_image: called for each, and for each message of an input where there are none; what
            it raises ends the reading.

    Raises:
        BagError, TopicError, ImageError: the bag cannot be learnt from.
    """
    topics = _topics(reader, signals)
    refusals, jumps = Refusals(), []
    collected = _Collected(reader, signals, topics, refusals, pixels, on_image)
    max_age = topics.inputs.max_age(signals.inputs)
    aside = {topics.mode, *topics.inputs.aside}
    messages = reader.messages(topics.all())
    for message in in_one_clock(messages, refusals, max_age, aside, {topics.override}):
        if isinstance(message, Jump):
            jumps.append(message)
            collected.jump(message)
            continue
        collected.take(message)
    others = collected.others()
    command = _with_overrides(others['command'], others.pop('override'), others['mode'])
    others['command'] = _without_spikes(command, topics.command, refusals)
    return Streams(
        inputs={name: stream.series() for name, stream in collected.inputs.items()},
        **others,
        topics={**topics.inputs.leading, 'command': topics.command},
        refusals=refusals,
        jumps=tuple(jumps),
    )


@dataclass
class _Samples:
    """Samples as they come."""

    stamps: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def add(self, stamp_ns: int, value: Any, number: int = 0) -> None:
        self.stamps.append(stamp_ns)
        self.values.append(value)
        self.numbers.append(number)


class _Input:
    """An input of one topic: its messages are read as they come."""

    def __init__(self, spec: InputSpec, pixels: BinaryIO | None) -> None:
        self._spec = spec
        self._reader = spec.reader()
        self._pixels = pixels
        self._preprocess: Any = None if pixels is None else Preprocessor(spec)  # type: ignore[arg-type]
        self._found = _Samples()
        self.messages = 0
        """Of the leading topic so far, unreadable ones as well."""

    def take(self, part: TopicRole, message: BagMessage, stamp_ns: int) -> None:
        """Read a message; `stamp_ns` is in time that runs on. Raises SensorError, ImageError."""
        number = self.messages
        self.messages += part.leading
        self._read(part.role, message.to_cdr(), message.msgtype, stamp_ns, number)

    def jump(self, jump: Jump) -> None:
        """Where the clock goes back, everything is forgotten, as on the robot."""
        if jump.is_back:
            self._reader = self._spec.reader()

    def series(self) -> Series:
        found = self._found
        if self._pixels is not None:
            return Series.sorted(found.stamps, found.values, np.int64, found.numbers)
        values = np.asarray(found.values, np.float32).reshape(-1, self._spec.width)
        return Series.sorted(found.stamps, values, np.float32, found.numbers)

    def _read(self, role: str, data: bytes, msgtype: str, stamp_ns: int, number: int) -> None:
        reading = self._reader.take(role, data, msgtype)
        if reading is None:
            return
        value = reading.value
        if refusal := self._spec.refusal(value):
            raise SensorError(refusal)
        if self._pixels is None:
            self._found.add(stamp_ns, value, number)
        else:
            self._pixels.write(self._preprocess(value).tobytes())
            self._found.add(stamp_ns, len(self._found.values), number)


class _JoinedInput(_Input):
    """An input of several topics: they are read in the order of their stamps, when all are there.

    A recorder may have fallen behind with one of them.
    """

    def __init__(self, spec: InputSpec, refuse: Callable[[BagMessage, Exception], None]) -> None:
        super().__init__(spec, None)
        self._refuse = refuse
        self._waiting: list[tuple[int, int, TopicRole, BagMessage]] = []

    def take(self, part: TopicRole, message: BagMessage, stamp_ns: int) -> None:
        self._waiting.append((stamp_ns, self.messages, part, message))
        self.messages += part.leading

    def jump(self, jump: Jump) -> None:
        self._read_all()
        super().jump(jump)

    def series(self) -> Series:
        self._read_all()
        return super().series()

    def _read_all(self) -> None:
        # What was told at the same time is known by then.
        waiting = sorted(self._waiting, key=lambda one: (one[0], one[2].leading))
        for stamp_ns, number, part, message in waiting:
            try:
                self._read(part.role, message.to_cdr(), message.msgtype, stamp_ns, number)
            except SensorError as error:
                self._refuse(message, error)
        self._waiting.clear()


class _Collected:
    """What messages say, by kind; those that the robot would refuse are counted."""

    def __init__(
        self,
        reader: BagReader,
        signals: Signals,
        topics: _Topics,
        refusals: Refusals,
        pixels: Mapping[str, BinaryIO],
        on_image: Callable[[], None],
    ) -> None:
        self._path = reader.path
        self._topics = topics
        self._refusals = refusals
        self._names, self._wheelbase = signals.command_names, signals.wheelbase
        self._shift_ns = 0
        self._override_arrivals: list[int] = []
        self._on_image = on_image
        self._image_topics = {topics.inputs.leading[name] for name in pixels} or {
            *topics.inputs.parts
        }
        self.inputs: dict[str, _Input] = {
            name: _Input(spec, pixels.get(name))
            if len(spec.sources(name)) == 1
            else _JoinedInput(spec, self._refuse)
            for name, spec in signals.inputs.items()
        }
        self._pixels = pixels
        self._other_topics = topics.others()
        self._others = {kind: _Samples() for kind in ('motion', 'command', 'mode', 'override')}

    def jump(self, jump: Jump) -> None:
        """What follows is stamped by a clock that was set."""
        self._shift_ns = jump.shift_ns
        for stream in self.inputs.values():
            stream.jump(jump)

    def take(self, message: BagMessage) -> None:
        """Take in a message by its topic; one topic may play several parts."""
        topic = message.topic
        if topic in self._image_topics:
            self._on_image()
        stamp_ns = message.stamp_ns + self._shift_ns
        for part in self._topics.inputs.parts.get(topic, ()):
            try:
                self.inputs[part.name].take(part, message, stamp_ns)
            except (SensorError, ImageError) as error:
                self._refuse(message, error)
        if topic in self._other_topics:
            try:
                self._take_other(message, stamp_ns)
            except SensorError as error:
                self._refuse(message, error)

    def others(self) -> dict[str, Series]:
        """What is no input, sorted; all images have been taken in."""
        self._check_images()
        overrides = self._others['override']
        overrides.stamps = told_apart(overrides.stamps, self._override_arrivals)
        return {
            kind: Series.sorted(
                found.stamps, found.values, np.int64 if kind == 'mode' else np.float32
            )
            for kind, found in self._others.items()
        }

    def _take_other(self, message: BagMessage, stamp_ns: int) -> None:
        topic, topics, others = message.topic, self._topics, self._others
        if topic == topics.mode:
            others['mode'].add(stamp_ns, message.value.mode)
        elif topic == topics.override:
            others['override'].add(stamp_ns, self._command(message))
            self._override_arrivals.append(message.log_ns)
        if topic == topics.odom:
            with suppress(SensorError):  # it only helps to tell pushes
                motion = samples.motion(message)
                if np.isfinite(motion).all():
                    others['motion'].add(stamp_ns, motion)
        if topic == topics.command:
            others['command'].add(stamp_ns, self._command(message))

    def _command(self, message: BagMessage) -> tuple[float, ...]:
        return samples.command(message, self._names, self._wheelbase)

    def _refuse(self, message: BagMessage, error: Exception) -> None:
        kind = 'image' if isinstance(error, ImageError) else 'value'
        self._refusals.add(message.topic, kind, str(error), message.stamp_ns, message.number)

    def _check_images(self) -> None:
        """Raise ImageError where so many images are no use that something else is wrong."""
        for name in self._pixels:
            topic = self._topics.inputs.leading[name]
            bad = self._refusals.count(topic, 'image')
            if bad > MAX_BAD_IMAGES * self.inputs[name].messages:
                raise ImageError(
                    f'{self._path}: {self._refusals.lines(topic, "image")[0]}; more than '
                    f'{MAX_BAD_IMAGES:.0%} of the images are of no use'
                )


def _topics(reader: BagReader, signals: Signals) -> _Topics:
    """Topics that are wanted, and those that say more of the drive."""
    named, filled = signals.topics, reader.filled
    command = find_topic(filled, 'command', named.get('command'))
    mode, override = infer_takeover(filled, mode=named.get('mode'), override=named.get('override'))
    # Odometry tells where a push came, if there is a steering angle to compare with.
    odom = None
    if 'steering_angle' in signals.command_names:
        odom = find_topic(filled, 'odom', named.get('odom'), optional=True)
    missing = ['command'] if command is None else []
    inputs = find_inputs(reader, signals.inputs, named, missing)
    return _Topics(inputs, command or '', odom, mode, override)


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
    return replace(command, values=values)
