# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The simulator as a whole: same seed, same world; other seed, other world."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.rollout.expert import Expert
from liquid_control.sim.appearance import Appearance
from liquid_control.sim.car import command as car_command
from liquid_control.sim.protocols import Sample
from liquid_control.sim.robots import CarSimulator, simulate, simulate_car
from liquid_control.sim.track_world import TrackWorld

PERIOD_NS = 50_000_000
NOMINAL = dict.fromkeys(TrackWorld.difficulties, 0.0)


def drive(simulator: CarSimulator, ticks: int) -> Iterator[Sample]:
    expert = Expert(simulator.world.track)
    for _ in range(ticks):
        yield from simulator.step(expert.command(simulator.motion), PERIOD_NS)


def frames(observations: Iterator[Sample]) -> list[Sample]:
    return [seen for seen in observations if seen.sensor == 'image']


def test_a_seed_repeats_a_drive_bit_by_bit_also_after_reset() -> None:
    with simulate_car(5) as simulator, simulate_car(5) as twin:
        first, second = list(drive(simulator, 10)), list(drive(twin, 10))
        simulator.reset()
        third = list(drive(simulator, 10))
    for other in (second, third):
        assert [seen.stamp_ns for seen in other] == [seen.stamp_ns for seen in first]
        for a, b in zip(first, other, strict=True):
            assert a.sensor == b.sensor
            assert np.array_equal(a.value, b.value)


def test_a_seed_stands_for_the_same_drive_in_every_version() -> None:
    with simulate_car(5) as simulator:
        image = frames(drive(simulator, 40))[-1].value
    where = simulator.motion
    assert (where.x, where.y, where.yaw) == pytest.approx((4.8175, 2.4857, 1.9711), abs=1e-3)
    assert image.mean() == pytest.approx(142.4, abs=0.5)


def test_camera_sees_a_moving_world_at_its_rate() -> None:
    with simulate_car(5, image_width=80, image_height=60) as simulator:
        seen = frames(drive(simulator, 20))
    assert len(seen) == 30
    assert seen[0].value.shape == (60, 80, 3)
    assert np.abs(seen[-1].value.astype(int) - seen[0].value).mean() > 5


def test_images_differ_by_seed() -> None:
    images = []
    for seed in (1, 2, 101):
        with simulate_car(seed) as simulator:
            images.append(frames(drive(simulator, 1))[0].value.astype(int))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(images[a] - images[b]).mean() > 10


def test_without_randomisation_only_the_track_differs() -> None:
    with simulate_car(1, difficulty=NOMINAL) as one, simulate_car(2, difficulty=NOMINAL) as other:
        assert one.world.appearance == other.world.appearance
        assert not np.allclose(one.world.track.points, other.world.track.points, atol=0.1)


def test_half_a_strength_is_half_way_between_nominal_and_drawn() -> None:
    half, drawn = (TrackWorld(4, {'scene': 0.0, 'mounting': share}) for share in (0.5, 1.0))
    assert half.appearance.season == drawn.appearance.season == Appearance().season
    assert half.appearance.pixel_noise == drawn.appearance.pixel_noise != Appearance().pixel_noise
    middle = (drawn.appearance.camera_fov + Appearance().camera_fov) / 2
    assert half.appearance.camera_fov == pytest.approx(middle)


@pytest.mark.parametrize(
    ('difficulty', 'reason'), [({'snow': 1.0}, 'must be one of scene'), ({'scene': 2.0}, '0..1')]
)
def test_a_difficulty_that_is_none_is_refused(difficulty: dict[str, float], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        simulate('car', 1, difficulty=difficulty)


def test_an_unknown_robot_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r'one of car.* found .submarine'):
        simulate('submarine', 1)


@pytest.mark.parametrize('seed', [1, 2])
def test_the_road_is_painted_where_the_track_is(seed: int) -> None:
    """On the centre line the image's lower middle is grey, beside the road it is green."""

    def greenness(offset: float, station: float) -> float:
        simulator.reset(simulator.world.pose_at(station=station, offset=offset))
        patch = (
            frames(iter(simulator.step(car_command(), PERIOD_NS)))[0]
            .value[90:, 60:100]
            .astype(int)
        )
        return float(np.median(patch[..., 1] - patch[..., [0, 2]].max(axis=-1)))

    with simulate_car(seed, difficulty=NOMINAL) as simulator:
        for station in np.linspace(0.0, simulator.world.track.length, 8, endpoint=False).tolist():
            assert greenness(0.0, station) < 10  # asphalt, or a yellow dash
            assert greenness(1.0, station) > 20


def test_time_never_passes_the_end_of_a_step_and_catches_up() -> None:
    simulator = simulate_car(0, camera=False)
    for tick in range(1, 31):
        due_ns = round(tick * 1e9 / 30.0)
        simulator.step(car_command(), due_ns - simulator.time_ns)
        assert due_ns - 2_500_000 < simulator.time_ns <= due_ns


def test_an_image_larger_than_the_renderer_is_refused() -> None:
    with pytest.raises(ValueError, match='at most 640x480, got 1000x120'):
        simulate_car(0, image_width=1000)
