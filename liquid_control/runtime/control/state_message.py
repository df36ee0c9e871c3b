# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A control tick as a serialized PolicyState, live and in recordings that are made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.cdr import Writer
from liquid_control.runtime.control.controller import Tick
from liquid_control.runtime.loop.timing import LoopTiming

_NOTHING = np.empty(0, np.float32)


@dataclass(frozen=True)
class Measured:
    """What the node measured around a tick; s."""

    frames: int
    """Camera frames that arrived so far."""
    lateness: float
    encoder: float
    """Decoding and encoder, of the newest frame."""
    sense_to_act: float


def state_bytes(tick: Tick, timing: LoopTiming, measured: Measured) -> bytes:
    """A serialized PolicyState; follows msg/PolicyState.msg field by field."""
    action, policy = tick.action, tick.runner.policy
    seen, names = action.observation, policy.contract.command_names
    late = timing.late
    message = Writer()
    message.time(tick.now_ns)
    message.string('')
    message.put('Q', timing.ticks + timing.missed, timing.missed)
    message.put('B', int(tick.mode))
    message.string(policy.contract.name)
    message.put('Q', measured.frames)
    inputs = tuple(policy.contract.inputs)
    values = [
        _NOTHING if name in policy.preprocess else seen.values.get(name, _NOTHING)
        for name in inputs
    ]
    message.strings(inputs)
    message.times([seen.stamps.get(name, 0) for name in inputs])
    message.floats([seen.ages[name] for name in inputs])
    message.put('I', len(values), *map(len, values))
    message.floats(np.concatenate(values))
    message.put('d', action.elapsed)
    message.strings(names)
    message.floats(action.raw if action.raw is not None else ())
    message.floats(tick.command or ())
    message.string(tick.limited_by)
    message.floats(policy.state)
    message.put('f', measured.lateness, measured.encoder, action.core_ns / 1e9)
    message.put('f', measured.sense_to_act)
    message.put('f', timing.rate, late.p50, late.p99, late.max)
    return message.done()


def values_of(state: Any) -> dict[str, NDArray[np.float32]]:
    """What a PolicyState says of each input, by name: nothing of an image."""
    values = np.asarray(state.input_values, np.float32)
    parts = np.split(values, np.cumsum(state.input_widths)[:-1])
    return dict(zip(state.input_names, parts, strict=False))
