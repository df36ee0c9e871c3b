# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Tracks: drawn from a seed, closed, drivable, and measured with the right signs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquid_control.sim.car import MAX_STEERING_ANGLE, WHEELBASE
from liquid_control.sim.track import AREA_HALF_SIZE, ROAD_WIDTH, TrackPose, generate_track

SEEDS = (0, 1, 2, 3, 101, 102, 103)


@pytest.mark.parametrize('seed', SEEDS)
def test_track_is_closed_evenly_spaced_and_inside_the_painted_ground(seed: int) -> None:
    track = generate_track(seed)
    steps = np.linalg.norm(np.roll(track.points, -1, axis=0) - track.points, axis=1)
    assert steps.max() / steps.min() < 1.05  # the step from the last point to the first included
    assert track.length == pytest.approx(steps.sum())
    assert (np.abs(track.points) + ROAD_WIDTH / 2 < AREA_HALF_SIZE).all()


@pytest.mark.parametrize('seed', SEEDS)
def test_bends_leave_the_car_steering_in_reserve(seed: int) -> None:
    tightest = np.abs(generate_track(seed).curvature).max()
    assert math.atan(WHEELBASE * tightest) < 0.8 * MAX_STEERING_ANGLE


@pytest.mark.parametrize('seed', SEEDS)
def test_one_lap_turns_by_a_full_circle(seed: int) -> None:
    track = generate_track(seed)
    assert abs(track.curvature.sum() * track.spacing) == pytest.approx(2 * math.pi, rel=0.01)


def test_a_seed_always_draws_the_same_track_and_others_differ() -> None:
    assert np.array_equal(generate_track(7).points, generate_track(7).points)
    assert not np.allclose(generate_track(7).points, generate_track(8).points, atol=0.1)


def test_tracks_are_driven_in_both_directions() -> None:
    turns = [np.sign(generate_track(seed).curvature.sum()) for seed in range(8)]
    assert {-1.0, 1.0} == set(turns)


@pytest.mark.parametrize('offset', [-0.3, 0.0, 0.3])
@pytest.mark.parametrize('station', [0.5, 3.3, 11.1])
def test_a_pose_is_found_where_it_was_put(station: float, offset: float) -> None:
    track = generate_track(4)
    x, y, yaw = track.pose_at(station, offset)
    place = track.locate(x, y, yaw + 0.1)
    assert place.station == pytest.approx(station, abs=track.spacing)
    assert place.offset == pytest.approx(offset, abs=0.01)
    assert place.heading_error == pytest.approx(0.1, abs=0.02)


def test_left_of_the_centre_line_is_positive() -> None:
    track = generate_track(4)
    x, y, yaw = track.pose_at(2.0)
    left = track.locate(x - 0.2 * math.sin(yaw), y + 0.2 * math.cos(yaw), yaw)
    assert left.offset == pytest.approx(0.2, abs=0.01)


def test_the_road_ends_half_its_width_from_the_centre_line() -> None:
    for side in (-1.0, 1.0):
        assert TrackPose(0.0, side * (ROAD_WIDTH / 2 - 0.001), 0.0).on_road
        assert not TrackPose(0.0, side * (ROAD_WIDTH / 2 + 0.001), 0.0).on_road
