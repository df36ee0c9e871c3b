# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A live run computed again, tick by tick, from what its recording says each tick saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.image import Pixels
from liquid_control.common.stamps import ns_of
from liquid_control.evaluate.errors import ReplayError
from liquid_control.runtime.control.state_message import values_of
from liquid_control.runtime.inference.policy import Policy


def replay_ticks(
    policy: Policy, states: Iterable[Any], frames: Mapping[str, Iterable[tuple[int, Pixels]]]
) -> Iterator[tuple[Any, NDArray[np.float32]]]:
    """Compute a recorded live run again from what its ticks say they saw.

    Where a tick cannot be computed (the recording began in the middle of a run, lost a message, or
    has no camera frame yet), the recurrent state is taken over from it, and computing goes on with
    the next one.

    Args:
        states: the run's PolicyState messages, in order, of this policy.
        frames: of each image input, stamp (ns) and RGB pixels of the camera's frames, in the
            order of their stamps.

    Yields:
        A PolicyState and the command [C] that the policy gives at its tick.

    Raises:
        ReplayError: a camera frame between the first and the last that ticks saw is missing.
    """
    encoded = {name: _encoded(policy, name, images) for name, images in frames.items()}
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
            inputs = {name: value for name, value in values_of(state).items() if len(value)}
            for name, encode in encoded.items():
                features = encode(_stamp_ns(state, name))
                known = known and features is not None
                if features is not None:
                    inputs[name] = features
        if not known:
            policy.state = np.asarray(state.neurons, np.float32)
        elif len(state.command_raw):
            yield state, policy.step(inputs, state.elapsed)


def _stamp_ns(state: Any, name: str) -> int:
    stamp = state.input_stamps[list(state.input_names).index(name)]
    return ns_of(stamp)


def _encoded(
    policy: Policy, name: str, frames: Iterable[tuple[int, Pixels]]
) -> Callable[[int], NDArray[np.float32] | None]:
    """Features of the frame with a stamp; stamps are asked for in order.

    None before the first frame; raises ReplayError for a frame that is missing later.
    """
    images = iter(frames)
    first_ns, image = next(images, (None, None))
    stamp_ns, newest_ns, features = first_ns, None, None

    def encode(wanted_ns: int) -> NDArray[np.float32] | None:
        nonlocal stamp_ns, image, newest_ns, features
        if first_ns is None or wanted_ns < first_ns:
            return None
        while stamp_ns is not None and stamp_ns < wanted_ns:
            stamp_ns, image = next(images, (None, None))
        if stamp_ns != wanted_ns or image is None:
            raise ReplayError(
                f'a tick saw the camera frame of {wanted_ns} ns, which is not in the recording'
            )
        if newest_ns != wanted_ns:
            newest_ns, features = wanted_ns, policy.encode(name, image)
        return features

    return encode
