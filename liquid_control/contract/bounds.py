# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the numbers of a contract and of a robot file can mean: one table for all of them.

A number out of these ranges is no mistake of degree: no robot has such a sensor or such a wheel,
and a limit like an age of 1e300 s is no limit. Bundles are data from outside.
"""

from __future__ import annotations

import math

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.image_header import MAX_PIXELS

# No ground robot or car survives more; beyond these an IMU is broken, not the drive exciting.
MAX_ACCELERATION = 500.0  # m/s^2
MAX_ANGULAR_VELOCITY = 100.0  # rad/s
MAX_SPEED = 150.0  # m/s

# The longest that a robot may drive on what it last saw, s: 2 m at walking speed.
MAX_AGE = 2.0

# Smallest and largest value, both allowed.
BOUNDS: dict[str, tuple[float, float]] = {
    'control_rate': (0.5, 1000.0),  # Hz
    'elapsed_range': (0.0, 10.0),  # s
    'rate': (0.1, 10_000.0),  # Hz, of a sensor
    'max_age': (0.001, MAX_AGE),  # s
    'width': (1, 16_384),  # pixels, as the next
    'height': (1, 16_384),
    'source_width': (1, 16_384),
    'source_height': (1, 16_384),
    'image pixels': (1, MAX_PIXELS),
    'features': (1, 65_536),
    'inputs': (1, 16),  # how many there are
    'joints': (1, 64),  # likewise
    'length': (1, 1024),  # of a vector
    'scale': (1e-6, 1e6),  # of its numbers
    'acceleration_scale': (1e-6, 1e6),
    'angular_velocity_scale': (1e-6, 1e6),
    'sectors': (1, 4096),
    'field_of_view': (0.01, 2 * math.pi),  # rad
    'near': (0.0, 1000.0),  # m, of a range finder
    'far': (0.01, 10_000.0),
    'over': (0.05, 5.0),  # s, between two scans that are compared
    'state_size': (1, 65_536),
    'neurons': (0, 1e9),
    'synapses': (0, 1e12),
    'parameters': (0, 1e12),
    'opset': (1, 100),
    'commands': (1, 32),  # how many there are; two arms with their hands
    # Robot files; u is a command's unit.
    'wheelbase': (0.01, 50.0),  # m
    'max_rate': (1e-6, 1e4),  # u/s, as the next two
    'max_fall_rate': (0.0, 1e4),
    'max_rate_fast': (0.0, 1e4),
    'max_acceleration': (1e-6, math.inf),  # u/s^2; infinite: no limit but those of the rate
    'fast_speed': (1e-6, math.inf),  # m/s; infinite: none
    # Landing and fence of a robot file.
    'after': (0.0, 3600.0),  # s
    'sinking speed': (0.01, 10.0),  # m/s
    'radius': (0.1, 1e5),  # m
    'fence height': (-1e4, 1e4),  # m
    'tilt': (0.01, math.pi / 2),  # rad
}


def check(where: str, error: type[LiquidControlError], **values: float) -> None:
    """Refuse what lies outside of `BOUNDS`, NaN included.

    Args:
        where: how messages name what the values belong to.
        error: what to raise.
    """
    for name, value in values.items():
        low, high = BOUNDS[name]
        if not low <= value <= high:
            raise error(f'{where}: {name} must be within {low:g}..{high:g}, found {value:g}')
