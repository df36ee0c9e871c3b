# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Offline replay: the policy over a recording, deterministic, as fast as the machine can.

The runner that drives the robot decides what a tick sees and what the network gets. Memory does
not grow with the recording.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.clock import Jump, in_one_clock
from liquid_control.bags.input_topics import InputTopics, TopicRole
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.bags.refusals import Refusals
from liquid_control.common.errors import ImageError, SensorError
from liquid_control.common.image import Pixels
from liquid_control.contract.inputs import Reading
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.stream import Instant, instants
from liquid_control.evaluate.replay.topics import ReplayTopics
from liquid_control.runtime.control.runner import PolicyRunner
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.sensing.observation import Sensors

# Ticks that go through each stage together: what a stage works with stays in the cache of the CPU,
# which takes a quarter of the time away. More gain nothing.
_BLOCK = 16
_BLOCK_BYTES = 4 << 20

OnImage = Callable[[str, int, Pixels], None]


@dataclass(frozen=True)
class ReplayedTick:
    """One tick of an offline replay."""

    stamp_ns: int
    frame: int
    """Index of the newest frame at or before the tick."""
    stamps: dict[str, int]
    """Of what the policy saw, by input, ns."""
    elapsed: float
    """As given to the network, s."""
    command: NDArray[np.float32]
    """The policy's, [C]; NaN where it could not be asked."""
    recorded: NDArray[np.float64]
    """The recording's, [C]; NaN where it does not say."""
    problem: str
    """Why the policy could not be asked: on the robot, the reason of a safe stop."""
    inputs: dict[str, NDArray[np.float32]]
    """What the policy saw; of an image its features."""
    state: NDArray[np.float32]
    """After the tick, [state_size]."""


@dataclass
class Stages:
    """Time spent in each stage, s; the rest is reading the bag and looking after ticks."""

    decoding: float = 0.0
    encoder: float = 0.0
    """Cropping and resizing included."""
    core: float = 0.0


@dataclass
class Faults:
    """What is wrong with a recording."""

    refusals: Refusals = field(default_factory=Refusals)
    jumps: list[Jump] = field(default_factory=list)

    def noted(self, messages: Iterable[BagMessage | Jump]) -> Iterator[BagMessage | Jump]:
        """The same messages; jumps of the clock among them are noted."""
        for message in messages:
            if isinstance(message, Jump):
                self.jumps.append(message)
            yield message


def replay(
    reader: BagReader,
    policy: Policy,
    topics: ReplayTopics,
    *,
    wheelbase: float,
    start_frame: int = 0,
    end_frame: int | None = None,
    stages: Stages | None = None,
    faults: Faults | None = None,
    on_image: OnImage | None = None,
) -> Iterator[ReplayedTick]:
    """Run a policy over a recording at the control rate of its contract.

    The recurrent state starts at zero. `stream` has the tick rule.

    Args:
        topics: which topic plays which part.
        wheelbase: of the recorded robot, m; joins yaw rate and steering angle.
        start_frame: index of the frame at whose stamp the first tick is.
        end_frame: index of the first frame left out.
        stages: where to add up the time spent.
        faults: where to note what is wrong with the recording.
        on_image: told of every image that is encoded, before the ticks that see it: input,
            stamp (ns), pixels as the encoder gets them.

    Raises:
        ReplayError: the recording and the policy do not go together.
    """
    contract = policy.contract
    stages, faults = stages or Stages(), faults or Faults()
    policy.reset()
    runner = PolicyRunner(policy, time_budget=math.inf)
    period = contract.period_ns / 1e9
    unknown = np.full(len(contract.commands), np.nan)
    recorded, recorded_ns = unknown, 0
    max_age, aside = topics.inputs.max_age(contract.inputs), topics.inputs.aside
    messages = in_one_clock(reader.messages(topics.all), faults.refusals, max_age, aside)
    ticks = instants(
        faults.noted(messages),
        topics.all,
        topics.frames,
        contract.period_ns,
        aside=aside,
        start_frame=start_frame,
        end_frame=end_frame,
        left_ns=round(max(max_age.values()) * 1e9),
    )
    values = _Values(policy, runner.sensors, topics.inputs, stages, faults.refusals, on_image)
    for block in _blocks(ticks):
        values.read(block)
        actions = []
        for tick in block:
            if tick.reset:
                values.reset_drive()
                runner.reset()
            values.put_newest(tick)
            actions.append((runner.step(tick.stamp_ns, period), policy.state.copy()))
        for tick, (action, state) in zip(block, actions, strict=True):
            if action.fault:
                raise ReplayError(
                    f'{action.fault} at {tick.stamp_ns} ns; train or export it again'
                )
            command = values.command(
                tick.messages.get(topics.command or '', ()), contract.command_names, wheelbase
            )
            if command is not None:
                recorded_ns, recorded = command
            elif tick.reset or tick.stamp_ns - recorded_ns > samples.COMMAND_HOLD_NS:
                recorded = unknown
            stages.core += action.core_ns / 1e9
            yield ReplayedTick(
                stamp_ns=tick.stamp_ns,
                frame=tick.frame,
                stamps=action.observation.stamps,
                elapsed=action.elapsed,
                command=unknown.astype(np.float32) if action.raw is None else action.raw,
                recorded=recorded,
                problem=action.observation.problem,
                inputs=action.observation.values,
                state=state,
            )
        values.reset()


def _blocks(ticks: Iterable[Instant]) -> Iterator[list[Instant]]:
    """Some ticks at a time, fewer where images are large."""
    block, held = [], 0
    for tick in ticks:
        block.append(tick)
        held += sum(len(message.raw) for queue in tick.messages.values() for message in queue)
        if len(block) == _BLOCK or held > _BLOCK_BYTES:
            yield block
            block, held = [], 0
    yield block


class _Values:
    """What messages say, read for a block of ticks before the first of them is acted on.

    Of an input of one topic only the newest message at a tick is read; of one of several topics
    every message, in the order of the stamps: its reader keeps what it was told.
    """

    def __init__(
        self,
        policy: Policy,
        sensors: Sensors,
        topics: InputTopics,
        stages: Stages,
        refusals: Refusals,
        on_image: OnImage | None,
    ) -> None:
        self._policy = policy
        self._sensors = sensors
        self._stages = stages
        self._refusals = refusals
        self._on_image = on_image
        self._parts: dict[str, list[tuple[str, TopicRole]]] = {}
        """Input -> its topics."""
        for topic, parts in topics.parts.items():
            for part in parts:
                self._parts.setdefault(part.name, []).append((topic, part))
        self._readers = {n: spec.reader() for n, spec in policy.contract.inputs.items()}
        self._known: dict[tuple[str, int], Any] = {}
        """By input and the message's identity; an error where it cannot be read."""
        self._refused: set[int] = set()

    def read(self, block: Iterable[Instant]) -> None:
        """Read the newest messages; images are all cut before the first is encoded."""
        images: list[tuple[str, BagMessage, Pixels]] = []
        for tick in block:
            for name, topics in self._parts.items():
                if len(topics) == 1 and (queue := tick.messages[topics[0][0]]):
                    self._read(name, queue[-1], images)
        self._encode(images)

    def reset(self) -> None:
        """Let go of all messages: an identity may come again."""
        self._known.clear()
        self._refused.clear()

    def reset_drive(self) -> None:
        """Forget everything, for a clock that went back."""
        self._sensors.clear()
        self._readers = {n: spec.reader() for n, spec in self._policy.contract.inputs.items()}

    def put_newest(self, tick: Instant) -> None:
        """Take what was new at a tick, as a robot that met it message by message would."""
        for name, topics in self._parts.items():
            if len(topics) == 1:
                for message in reversed(tick.messages[topics[0][0]]):
                    if self._put(name, message, self._of(name, message)):
                        break
            else:
                self._put_joined(name, topics, tick)

    def _put_joined(self, name: str, topics: list[tuple[str, TopicRole]], tick: Instant) -> None:
        came = [(part, message) for topic, part in topics for message in tick.messages[topic]]
        readings = []
        # What was told at the same time is known by then.
        for part, message in sorted(came, key=lambda one: (one[1].stamp_ns, one[0].leading)):
            found = self._taken(name, part.role, message)
            if found is not None:
                readings.append((message, found))
        for message, found in reversed(readings):
            if self._put(name, message, found):
                break

    def _put(self, name: str, message: BagMessage, found: Any) -> bool:
        """Offer a value, or the error in its place; returns whether it was taken."""
        if isinstance(found, Exception):  # counted when it was read
            with suppress(SensorError):
                self._sensors.slots[name].refuse(str(found))
            return False
        try:
            reading = Reading(message.stamp_ns, found)
            self._sensors.put(name, reading, message.stamp_ns)
        except SensorError as error:
            self._refuse(message, error)
            return False
        return True

    def command(
        self, messages: tuple[BagMessage, ...], names: Sequence[str], wheelbase: float
    ) -> tuple[int, NDArray[np.float64]] | None:
        """Stamp (ns) and values of the newest command that can be meant, None where none is."""
        for message in reversed(messages):
            try:
                return message.stamp_ns, np.array(samples.command(message, names, wheelbase))
            except SensorError as error:
                self._refuse(message, error)
        return None

    def _refuse(self, message: BagMessage, error: Exception) -> None:
        """Count a message once, however often it is looked at."""
        if id(message) not in self._refused:
            self._refused.add(id(message))
            kind = 'image' if isinstance(error, ImageError) else 'value'
            why, number = str(error), message.number
            self._refusals.add(message.topic, kind, why, message.stamp_ns, number)

    def _of(self, name: str, message: BagMessage) -> Any:
        key = name, id(message)
        if key not in self._known:
            images: list[tuple[str, BagMessage, Pixels]] = []
            self._read(name, message, images)
            self._encode(images)
        return self._known[key]

    def _read(
        self, name: str, message: BagMessage, images: list[tuple[str, BagMessage, Pixels]]
    ) -> None:
        """Read a message of an input of one topic; an image is added to those to encode."""
        started = time.perf_counter()
        found = self._taken(name, '', message)
        cut = self._policy.preprocess.get(name)
        if cut is not None and not isinstance(found, Exception):
            decoded = time.perf_counter()
            self._stages.decoding += decoded - started
            try:
                images.append((name, message, cut(found)))
            except ImageError as error:
                self._refuse(message, error)
                found = error
            self._stages.encoder += time.perf_counter() - decoded
        self._known[name, id(message)] = found

    def _encode(self, images: list[tuple[str, BagMessage, Pixels]]) -> None:
        started = time.perf_counter()
        for name, message, pixels in images:
            if not isinstance(self._known[name, id(message)], Exception):
                self._known[name, id(message)] = self._policy.encode_input(name, pixels)
                if self._on_image is not None:
                    self._on_image(name, message.stamp_ns, pixels)
        self._stages.encoder += time.perf_counter() - started

    def _taken(self, name: str, role: str, message: BagMessage) -> Any:
        """What a message says: a value, an error, or None where it only adds to others."""
        try:
            reading = self._readers[name].take(role, message.to_cdr(), message.msgtype)
        except (SensorError, ImageError) as error:
            self._refuse(message, error)
            return error
        return None if reading is None else reading.value
