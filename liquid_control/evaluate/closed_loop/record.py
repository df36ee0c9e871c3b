# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A drive of a simulated robot, read back from its recording: path, ticks, frames, figures."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.bags import samples
from liquid_control.bags.reader import BagReader
from liquid_control.common.image import Pixels
from liquid_control.common.stamps import ns_of
from liquid_control.evaluate.closed_loop.courses import Course
from liquid_control.evaluate.errors import ReplayError
from liquid_control.sim.protocols import Motion

Array = NDArray[np.float64]

IMAGE, ODOM, STATE = '/camera/image_raw', '/odom', '/policy_node/state'
AUTONOMOUS, MANUAL = 1, 2  # as in msg/ControlMode
FRAMES_SHOWN = 6


@dataclass(frozen=True)
class Ticks:
    """The control ticks while the policy drove; N of them."""

    stamp_ns: NDArray[np.int64]
    names: tuple[str, ...]
    """Of the C commands."""
    raw: Array
    """[N, C], as the network said."""
    sent: Array
    """[N, C], after the safety envelope."""
    limited: NDArray[np.bool_]
    """[N], whether a limit acted."""
    neurons: Array
    """[N, S], recurrent state after the step."""
    lateness: Array
    """[N], s."""
    sense_to_act: Array
    """[N], s; NaN without a camera."""
    encoder_time: Array
    """[N], s."""
    core_time: Array
    """[N], s."""
    missed: int
    """Cycles that were missed in this time."""
    policy: str

    @property
    def rate(self) -> float:
        """Measured control rate, Hz."""
        span = (self.stamp_ns[-1] - self.stamp_ns[0]) / 1e9
        return float((len(self.stamp_ns) - 1) / span) if span > 0 else 0.0


@dataclass(frozen=True)
class DriveRecord:
    """A drive, from the first tick at which the policy drove until it no longer did."""

    recording: Path
    course: Course
    ticks: Ticks
    path_ns: NDArray[np.int64]
    """[M], stamps of the poses."""
    statuses: tuple[Any, ...]
    """[M], how the drive went at each pose."""
    frames: tuple[tuple[float, Pixels], ...]
    """Some camera images with their times, s since the first tick."""

    def seconds(self, stamp_ns: NDArray[np.int64]) -> Array:
        """Time since the first tick, s."""
        return np.asarray((stamp_ns - self.ticks.stamp_ns[0]) / 1e9)


def read_drive(recording: Path, course: Course, *, mode: int = AUTONOMOUS) -> DriveRecord:
    """Read a recorded drive.

    Args:
        recording: the bag.
        course: what was asked of the robot.
        mode: AUTONOMOUS for what the policy drove, MANUAL for what a person did.

    Raises:
        BagError: the bag cannot be read.
        ReplayError: nobody drove so in it.
    """
    with BagReader(recording) as reader:
        ticks, end_ns = _read_ticks(reader, mode)
        start_ns = int(ticks.stamp_ns[0])
        path_ns, path = _read_path(reader, start_ns, end_ns)
        frames = _read_frames(reader, start_ns, end_ns) if IMAGE in reader.topics else ()
    course.begin(int(path_ns[0]), path[0])
    statuses = tuple(map(course.look, path_ns.tolist(), path))
    return DriveRecord(recording, course, ticks, path_ns, statuses, frames)


def summary(
    drive: DriveRecord, *, seed: int, real_time_factor: float, folder: Path
) -> dict[str, Any]:
    """What summary.json holds; times in ms where the name says so.

    Args:
        folder: where it will lie; the recording is named from there.
    """
    ticks = drive.ticks
    latency = ticks.sense_to_act[np.isfinite(ticks.sense_to_act)]
    return {
        'policy': ticks.policy,
        'seed': seed,
        'robot': drive.course.robot,
        **drive.course.figures(drive.statuses),
        'rate_hz': round(ticks.rate, 3),
        'ticks': len(ticks.stamp_ns),
        'missed': ticks.missed,
        'limited': int(ticks.limited.sum()),
        'lateness_ms': _milliseconds(ticks.lateness, p50=50, p99=99, max=100),
        'sense_to_act_ms': _milliseconds(latency, p50=50, p99=99),
        'encoder_ms': _milliseconds(ticks.encoder_time, p50=50, p99=99),
        'core_ms': _milliseconds(ticks.core_time, p50=50, p99=99),
        'real_time_factor': round(real_time_factor, 4),
        'recording': os.path.relpath(drive.recording, folder),
    }


def _milliseconds(values: Array, **percentiles: float) -> dict[str, float | None]:
    if not len(values):
        return dict.fromkeys(percentiles)
    return {
        name: round(1e3 * float(np.percentile(values, share)), 4)
        for name, share in percentiles.items()
    }


def _read_ticks(reader: BagReader, mode: int) -> tuple[Ticks, int]:
    """The ticks at which somebody drove, and when they no longer did."""
    values = [message.value for message in reader.messages([STATE])]
    driven = [
        value
        for value in values
        if value.mode == mode and len(value.command) == len(value.command_raw) > 0
    ]
    if not driven:
        raise ReplayError(
            f'{reader.path}: {"the policy" if mode == AUTONOMOUS else "a person"} never drove in '
            f'this recording: no {STATE} message has the mode '
            f'{"AUTONOMOUS" if mode == AUTONOMOUS else "MANUAL"}'
        )
    last_ns = ns_of(driven[-1].header.stamp)
    after = (ns_of(value.header.stamp) for value in values)
    end_ns = min((stamp_ns for stamp_ns in after if stamp_ns > last_ns), default=last_ns)

    def column(name: str) -> Array:
        return np.array([getattr(value, name) for value in driven], np.float64)

    ticks = Ticks(
        stamp_ns=np.array([ns_of(value.header.stamp) for value in driven], np.int64),
        names=tuple(driven[0].command_names),
        raw=column('command_raw'),
        sent=column('command'),
        limited=np.array([bool(value.limited_by) for value in driven]),
        neurons=column('neurons'),
        lateness=column('lateness'),
        sense_to_act=column('sense_to_act'),
        encoder_time=column('encoder_time'),
        core_time=column('core_time'),
        missed=int(driven[-1].missed - driven[0].missed),
        policy=driven[-1].policy,
    )
    return ticks, end_ns


def _read_path(
    reader: BagReader, start_ns: int, end_ns: int
) -> tuple[NDArray[np.int64], list[Motion]]:
    stamps, path = [], []
    for message in reader.messages([ODOM]):
        if start_ns <= message.stamp_ns <= end_ns:
            stamps.append(message.stamp_ns)
            path.append(motion_of(message.value))
    if not path:
        raise ReplayError(f'{reader.path}: no {ODOM} message in the time that the policy drove')
    return np.array(stamps, np.int64), path


def motion_of(odometry: Any) -> Motion:
    """What a nav_msgs/Odometry says."""
    pose, twist = odometry.pose.pose, odometry.twist.twist
    x, y, z, w = (getattr(pose.orientation, name) for name in 'xyzw')
    return Motion(
        x=pose.position.x,
        y=pose.position.y,
        z=pose.position.z,
        yaw=math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)),
        pitch=math.asin(min(max(2 * (w * y - z * x), -1.0), 1.0)),
        roll=math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y)),
        speed=twist.linear.x,
        velocity_y=twist.linear.y,
        velocity_z=twist.linear.z,
        yaw_rate=twist.angular.z,
        pitch_rate=twist.angular.y,
        roll_rate=twist.angular.x,
    )


def _read_frames(
    reader: BagReader, start_ns: int, end_ns: int
) -> tuple[tuple[float, Pixels], ...]:
    """Images spread evenly over the drive."""
    frames = []
    for wanted_ns in np.linspace(start_ns, end_ns, FRAMES_SHOWN + 2)[1:-1].astype(np.int64):
        messages = reader.messages([IMAGE], start_ns=int(wanted_ns), end_ns=end_ns + 1)
        message = next(messages, None)
        if message is not None:
            frames.append(((message.stamp_ns - start_ns) / 1e9, samples.image(reader, message)))
    return tuple(frames)
