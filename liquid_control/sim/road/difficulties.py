# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a road can be made hard with, each by a strength from 0 to 1, and presets of several."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

DIFFICULTIES = {
    'worn': 'how far the road markings are worn off',
    'missing': 'share of the markings that is not there at all, up to 90 %',
    'double': 'old markings beside the valid ones, drifting off, on up to 70 % of the way',
    'shadows': 'shadows across the road, up to 24',
    'crossings': 'roads that cross and interrupt the edges, up to 4',
    'wet': 'a dark, mirroring road with puddles',
    'elsewhere': 'ground and road of places that are kept from training',
    'night': 'darkness, with headlights',
    'glare': 'a low sun that blinds whoever drives towards it',
    'blur': 'motion blur, up to 40 ms of exposure',
    'shutter': 'rolling shutter, up to 33 ms from the first row to the last',
    'drops': 'drops and dirt on the lens, on up to a third of it',
    'hills': 'up and down: the camera pitches by up to 0.12 rad, the car stays on its plane',
    'narrow': 'width of the road: 0.75 m at 0, 0.45 m at 1',
    'fast': 'the car goes faster than it is told, up to 1.4 times',
    'delay': 'commands reach steering and motor late, by up to 0.12 s',
    'slack': 'play of the steering, up to 0.06 rad to either side',
    'cones': 'cones on the road, up to 3',
    'parked': 'cars parked on the road, up to 2',
    'moving': 'cars that drive to and fro on the road, up to 2',
}
"""Beside those of a world's look; 0 where nothing is said."""

HELD_OUT = ('elsewhere',)
"""Never recorded for training."""

_VISIBLE = ('worn', 'missing', 'double', 'shadows', 'crossings', 'wet', 'night', 'glare')
_LENS = ('blur', 'shutter', 'drops', 'hills')
_CAR = ('narrow', 'fast', 'delay', 'slack')
_OBSTACLES = ('cones', 'parked', 'moving')

PRESETS: Mapping[str, Mapping[str, float]] = {
    'hard': {
        **dict.fromkeys(_VISIBLE, 0.6),
        **dict.fromkeys(_LENS, 0.6),
        **dict.fromkeys(_CAR, 0.4),
    },
    'traffic': dict.fromkeys(_OBSTACLES, 1.0),
}
"""By name: what a strength of the preset is multiplied by."""


def generator(seed: int, name: str) -> np.random.Generator:
    """Of one difficulty: what it draws does not change what the others do."""
    return np.random.default_rng([seed, *name.encode()])
