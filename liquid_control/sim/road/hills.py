# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Hills as a camera sees them: up and down along the track.

The car stays on its plane: its wheels feel no slope. What changes is where the camera points.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from liquid_control.sim.protocols import Motion
from liquid_control.sim.road.difficulties import generator
from liquid_control.sim.track import Track

_STEEPEST = 0.12
"""rad, at strength 1."""
_WAVES = ((3, 6), (7, 11))
"""How many hills a lap has, large and small ones."""


class Hills:
    """The pitch of the camera along one track."""

    def __init__(self, track: Track, strength: float, seed: int) -> None:
        rng = generator(seed, 'hills')
        self._track = track
        self._counts = [int(rng.integers(low, high)) for low, high in _WAVES]
        self._phases = rng.uniform(0.0, 2.0 * math.pi, len(_WAVES))
        self._steepest = strength * _STEEPEST / len(_WAVES)

    def pitch(self, motion: Motion) -> float:
        """How much further down the camera looks at a place, rad."""
        station = self._track.locate(motion.x, motion.y, motion.yaw).station
        turn = 2.0 * math.pi * station / self._track.length
        waves = zip(self._counts, self._phases, strict=True)
        return self._steepest * sum(math.sin(count * turn + phase) for count, phase in waves)

    def tilt(self, rotation: NDArray[np.float64], motion: Motion) -> NDArray[np.float64]:
        """A camera's axes in the world [9], pitched."""
        pitch = self.pitch(motion)
        sine, cosine = math.sin(pitch), math.cos(pitch)
        # About its own x axis, to the right: down is negative.
        turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, sine], [0.0, -sine, cosine]])
        tilted: NDArray[np.float64] = (rotation.reshape(3, 3) @ turn).ravel()
        return tilted
