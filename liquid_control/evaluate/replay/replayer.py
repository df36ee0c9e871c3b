"""Offline replay: the policy over a recording, deterministic, as fast as the machine can.

The runner that drives the robot decides what a tick sees and what the network gets. Memory does
not grow with the recording.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.clock import Jump, in_one_clock
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.bags.refusals import Refusals
from liquid_control.bags.topics import IMU_TYPES, ODOM_TYPES, TopicRoles
from liquid_control.common.errors import ImageError, SensorError
from liquid_control.common.image import Pixels
from liquid_control.contract.contract import Contract
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.replay.stream import Instant, instants
from liquid_control.runtime.control.runner import PolicyRunner
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.sensing.image import Preprocessor
from liquid_control.runtime.sensing.observation import Slot

# Ticks that go through each stage together: what a stage works with stays in the cache of the CPU,
# which takes a quarter of the time away. More gain nothing.
_BLOCK = 16
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class ReplayedTick:
    """One tick of an offline replay."""

    stamp_ns: int
    frame: int
    """Index of the newest frame at or before the tick."""
    image_stamp_ns: int
    elapsed: float
    """As given to the network, s."""
    command: NDArray[np.float32]
    """The policy's, [C]; NaN where it could not be asked."""
    recorded: NDArray[np.float64]
    """The recording's, [C]; NaN where it does not say."""
    problem: str
    """Why the policy could not be asked: on the robot, the reason of a safe stop."""


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
    topics: TopicRoles,
    *,
    wheelbase: float,
    start_frame: int = 0,
    end_frame: int | None = None,
    stages: Stages | None = None,
    faults: Faults | None = None,
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

    Raises:
        ReplayError: the recording and the policy do not go together.
    """
    contract = policy.contract
    stages, faults = stages or Stages(), faults or Faults()
    policy.reset()
    runner = PolicyRunner(policy, time_budget=math.inf)
    sensors, period = runner.sensors, contract.period_ns / 1e9
    unknown = np.full(len(contract.commands), np.nan)
    recorded, recorded_ns = unknown, 0
    messages = reader.messages({topic for topic in asdict(topics).values() if topic})
    max_age = _max_age(contract, topics)
    ticks = instants(
        faults.noted(in_one_clock(messages, faults.refusals, max_age)),
        topics,
        contract.period_ns,
        start_frame=start_frame,
        end_frame=end_frame,
        left_ns=round(max(max_age.values()) * 1e9),
    )
    values = _Values(reader, policy, stages, faults.refusals)
    for block in _blocks(ticks):
        values.read(queue[-1] for t in block for queue in (t.image, t.imu, t.odom) if queue)
        actions = []
        for tick in block:
            if tick.reset:
                sensors.clear()
                runner.reset()
            values.put_newest(tick.image, sensors.image, sensors.put_features)
            values.put_newest(tick.imu, sensors.imu, sensors.put_imu)
            values.put_newest(tick.odom, sensors.speed, sensors.put_speed)
            actions.append(runner.step(tick.stamp_ns, period))
        for tick, action in zip(block, actions, strict=True):
            if action.fault:
                raise ReplayError(
                    f'{action.fault} at {tick.stamp_ns} ns; train or export it again'
                )
            command = values.command(tick.command, contract.command_names, wheelbase)
            if command is not None:
                recorded_ns, recorded = command
            elif tick.reset or tick.stamp_ns - recorded_ns > samples.COMMAND_HOLD_NS:
                recorded = unknown
            stages.core += action.core_ns / 1e9
            yield ReplayedTick(
                stamp_ns=tick.stamp_ns,
                frame=tick.frame,
                image_stamp_ns=action.observation.image_stamp_ns,
                elapsed=action.elapsed,
                command=unknown.astype(np.float32) if action.raw is None else action.raw,
                recorded=recorded,
                problem=action.observation.problem,
            )
        values.reset()


def _max_age(contract: Contract, topics: TopicRoles) -> dict[str, float]:
    """By topic, s."""
    inputs = (
        (topics.image, contract.image),
        (topics.imu, contract.imu),
        (topics.odom, contract.speed),
    )
    return {topic: spec.max_age for topic, spec in inputs if topic and spec is not None}


def _blocks(ticks: Iterable[Instant]) -> Iterator[list[Instant]]:
    """Some ticks at a time, fewer where pictures are large."""
    block, held = [], 0
    for tick in ticks:
        block.append(tick)
        held += sum(len(message.raw) for message in tick.image)
        if len(block) == _BLOCK or held > _BLOCK_BYTES:
            yield block
            block, held = [], 0
    yield block


class _Values:
    """What messages say, read for a block of ticks before the first of them is acted on."""

    def __init__(
        self, reader: BagReader, policy: Policy, stages: Stages, refusals: Refusals
    ) -> None:
        self._refusals = refusals
        self._reader = reader
        self._policy = policy
        self._stages = stages
        self._known: dict[int, Any] = {}
        """By the message's identity; an error where it cannot be read."""
        self._refused: set[int] = set()

    def read(self, messages: Iterable[BagMessage]) -> None:
        """Read messages; of pictures, first all inputs of the encoder, then all features."""
        inputs: dict[int, Pixels] = {}
        for message in messages:
            key = id(message)
            try:
                if message.msgtype in IMU_TYPES:
                    self._known[key] = samples.imu(self._reader, message)
                elif message.msgtype in ODOM_TYPES:
                    self._known[key] = samples.speed(self._reader, message)
                elif self._policy.preprocess is not None:
                    inputs[key] = self._input(message, self._policy.preprocess)
            except (SensorError, ImageError) as error:
                self._known[key] = error
                self._refuse(message, error)
        started = time.perf_counter()
        for key, pixels in inputs.items():
            self._known[key] = self._policy.encode_input(pixels)
        self._stages.encoder += time.perf_counter() - started

    def reset(self) -> None:
        """Let go of all messages: an identity may come again."""
        self._known.clear()
        self._refused.clear()

    def put_newest(
        self, messages: tuple[BagMessage, ...], slot: Slot | None, put: Callable[[int, Any], None]
    ) -> None:
        """Take the newest message not refused, as a robot that met them one by one would."""
        if slot is None:
            return
        for message in reversed(messages):
            try:
                return put(message.stamp_ns, self._of(message))
            except SensorError as error:
                self._refuse(message, error)
            except ImageError as error:
                _note(slot, error)

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
            kind = 'picture' if isinstance(error, ImageError) else 'value'
            why, number = str(error), message.number
            self._refusals.add(message.topic, kind, why, message.stamp_ns, number)

    def _of(self, message: BagMessage) -> Any:
        if id(message) not in self._known:
            self.read([message])
        value = self._known[id(message)]
        if isinstance(value, Exception):
            raise value
        return value

    def _input(self, message: BagMessage, preprocess: Preprocessor) -> Pixels:
        started = time.perf_counter()
        picture = samples.picture(self._reader, message)
        decoded = time.perf_counter()
        self._stages.decoding += decoded - started
        pixels = preprocess(picture)
        self._stages.encoder += time.perf_counter() - decoded
        return pixels


def replay_ticks(
    policy: Policy, states: Iterable[Any], frames: Mapping[str, Iterable[tuple[int, Pixels]]]
) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    """Compute a recorded live run again from what its ticks say they saw.

    Where a tick cannot be computed (the recording began in the middle of a run, lost a message, or
    has no camera frame yet), the recurrent state is taken over from it, and computing goes on with
    the next one.

    Args:
        states: the run's PolicyState messages, in order, of this policy.
        frames: of each image input, stamp (ns) and RGB picture of the camera's frames, in the
            order of their stamps.

    Yields:
        A PolicyState and the command [C] that the policy gives at its tick.

    Raises:
        ReplayError: a camera frame between the first and the last that ticks saw is missing.
    """
    encoded = {name: _encoded(policy, name, pictures) for name, pictures in frames.items()}
    before: Any = None
    for state in states:
        known = state.tick <= 1  # the first since activation
        if before is None:
            policy.reset()
        else:
            known = state.tick - before.tick - 1 == state.missed - before.missed
        before = state
        inputs: dict[str, NDArray[np.float32]] = {}
        if len(state.command_raw):
            inputs = _seen(state)
            for name, encode in encoded.items():
                features = encode(_stamp_ns(state, name))
                known = known and features is not None
                if features is not None:
                    inputs[name] = features
        if not known:
            policy.state = np.asarray(state.neurons, np.float32)
        elif len(state.command_raw):
            yield state, policy.step(inputs, state.elapsed)


def _seen(state: Any) -> dict[str, NDArray[np.float32]]:
    """What a PolicyState says of the inputs, but for images; by name."""
    values = np.asarray(state.input_values, np.float32)
    parts = np.split(values, np.cumsum(state.input_widths)[:-1])
    named = zip(state.input_names, state.input_widths, parts, strict=True)
    return {name: part for name, width, part in named if width}


def _stamp_ns(state: Any, name: str) -> int:
    stamp = state.input_stamps[list(state.input_names).index(name)]
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _encoded(
    policy: Policy, name: str, frames: Iterable[tuple[int, Pixels]]
) -> Callable[[int], NDArray[np.float32] | None]:
    """Features of the frame with a stamp; stamps are asked for in order.

    None before the first frame; raises ReplayError for a frame that is missing later.
    """
    pictures = iter(frames)
    first_ns, picture = next(pictures, (None, None))
    stamp_ns, newest_ns, features = first_ns, None, None

    def encode(wanted_ns: int) -> NDArray[np.float32] | None:
        nonlocal stamp_ns, picture, newest_ns, features
        if first_ns is None or wanted_ns < first_ns:
            return None
        while stamp_ns is not None and stamp_ns < wanted_ns:
            stamp_ns, picture = next(pictures, (None, None))
        if stamp_ns != wanted_ns or picture is None:
            raise ReplayError(
                f'a tick saw the camera frame of {wanted_ns} ns, which is not in the recording'
            )
        if newest_ns != wanted_ns:
            newest_ns, features = wanted_ns, policy.encode(name, picture)
        return features

    return encode


def _note(slot: Slot, error: ImageError) -> None:
    try:
        slot.refuse(str(error))
    except SensorError:
        return
