"""Offline replay: the policy over a recording, deterministic, as fast as the machine can.

A `Pilot` decides what a tick sees and what the network feels, the one that drives the robot.
Memory does not grow with the recording.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.bags.topics import TopicRoles
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.stream import Instant, instants
from liquid_control.runtime.errors import ImageError, SensorError
from liquid_control.runtime.image import Pixels
from liquid_control.runtime.observation import Slot
from liquid_control.runtime.pilot import Pilot
from liquid_control.runtime.policy import Policy

Array = NDArray[np.float32]

# Ticks whose pictures are decoded, then encoded, before the first of them is acted on: what one
# stage works with stays in the processor's cache. Sixteen take a quarter less time than one, more
# gain nothing (benchmarks/replay.py).
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


def replay(
    reader: BagReader,
    policy: Policy,
    topics: TopicRoles,
    *,
    wheelbase: float,
    start_frame: int = 0,
    end_frame: int | None = None,
    stages: Stages | None = None,
) -> Iterator[ReplayedTick]:
    """Run a policy over a recording at the control rate of its contract.

    The recurrent state starts at zero. `stream` has the tick rule.

    Args:
        topics: which topic plays which part.
        wheelbase: of the recorded robot, m; joins yaw rate and steering angle.
        start_frame: index of the frame at whose stamp the first tick is.
        end_frame: index of the first frame left out.
        stages: where to add up the time spent.

    Raises:
        ReplayError: the recording and the policy do not go together.
    """
    contract = policy.contract
    stages = stages or Stages()
    policy.reset()
    pilot = Pilot(policy, time_budget=math.inf)
    sensors, period = pilot.sensors, contract.period_ns / 1e9
    unknown = np.full(len(contract.commands), np.nan)
    recorded = unknown

    looked: dict[int, Array | ImageError] = {}

    def put_image(message: BagMessage) -> None:
        if id(message) not in looked:
            looked.update(_look([message], reader, policy, stages))
        features = looked[id(message)]
        if isinstance(features, ImageError):
            raise features
        sensors.put_features(message.stamp_ns, features)

    def put_imu(message: BagMessage) -> None:
        sensors.put_imu(message.stamp_ns, samples.imu(reader, message))

    def put_speed(message: BagMessage) -> None:
        sensors.put_speed(message.stamp_ns, samples.speed(reader, message))

    ticks = instants(
        reader.messages({topic for topic in asdict(topics).values() if topic}),
        topics,
        contract.period_ns,
        start_frame=start_frame,
        end_frame=end_frame,
    )
    for block in _blocks(ticks):
        if contract.image is not None:
            newest = [tick.image[-1] for tick in block if tick.image]
            looked = _look(newest, reader, policy, stages)
        for tick in block:
            if contract.image is not None:
                _put_newest(tick.image, sensors.image, put_image)
            _put_newest(tick.imu, sensors.imu, put_imu)
            _put_newest(tick.odom, sensors.speed, put_speed)
            if tick.command:
                recorded = np.array(
                    samples.command(tick.command[-1], contract.command_names, wheelbase)
                )
            action = pilot.act(tick.stamp_ns, period)
            if action.fault:
                raise ReplayError(
                    f'{action.fault} at {tick.stamp_ns} ns; train or export it again'
                )
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


def _look(
    messages: Iterable[BagMessage], reader: BagReader, policy: Policy, stages: Stages
) -> dict[int, Array | ImageError]:
    """Features of pictures, by message, or why there are none; each stage for all of them."""
    assert policy.preprocess is not None
    found: dict[int, Array | ImageError] = {}
    inputs: dict[int, Pixels] = {}
    for message in messages:
        started = time.perf_counter()
        decoded = started
        try:
            picture = samples.picture(reader, message)
            decoded = time.perf_counter()
            inputs[id(message)] = policy.preprocess(picture)
        except ImageError as error:
            found[id(message)] = error
        stages.decoding += decoded - started
        stages.encoder += time.perf_counter() - decoded
    started = time.perf_counter()
    for key, pixels in inputs.items():
        found[key] = policy.encode_input(pixels)
    stages.encoder += time.perf_counter() - started
    return found


def replay_ticks(
    policy: Policy, states: Iterable[Any], frames: Iterable[tuple[int, Pixels]]
) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    """Compute a recorded live run again from what its ticks say they saw.

    Where a tick cannot be computed (the recording began in the middle of a run, lost a message, or
    has no camera frame yet), the recurrent state is taken over from it, and computing goes on with
    the next one.

    Args:
        states: the run's PolicyState messages, in order, of this policy.
        frames: stamp (ns) and RGB picture of the camera frames, in the order of their stamps.

    Yields:
        A PolicyState and the command [C] that the policy gives at its tick.

    Raises:
        ReplayError: a camera frame between the first and the last that ticks saw is missing.
    """
    encoded = _encoded(policy, frames)
    before: Any = None
    for state in states:
        known = state.tick <= 1  # the first since activation
        if before is None:
            policy.reset()
        else:
            known = state.tick - before.tick - 1 == state.missed - before.missed
        before = state
        features = None
        if len(state.command_raw) and policy.contract.image is not None:
            stamp_ns = state.image_stamp.sec * 1_000_000_000 + state.image_stamp.nanosec
            features = encoded(stamp_ns)
            known = known and features is not None
        if not known:
            policy.state = np.asarray(state.neurons, np.float32)
        elif len(state.command_raw):
            command = policy.step(
                elapsed=state.elapsed,
                features=features,
                imu=np.asarray(state.imu, np.float32),
                speed=state.speed,
            )
            yield state, command


def _encoded(
    policy: Policy, frames: Iterable[tuple[int, Pixels]]
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
            newest_ns, features = wanted_ns, policy.encode(picture)
        return features

    return encode


def _put_newest(
    messages: tuple[BagMessage, ...], slot: Slot | None, put: Callable[[BagMessage], None]
) -> None:
    """Take the newest message that is not refused, as a robot that met them one by one would."""
    for message in reversed(messages):
        try:
            return put(message)
        except SensorError:
            continue
        except ImageError as error:
            if slot is not None:
                _note(slot, error)


def _note(slot: Slot, error: ImageError) -> None:
    try:
        slot.refuse(str(error))
    except SensorError:
        return
