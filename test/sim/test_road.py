# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Roads that are hard to drive: each difficulty does what it says, and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.rollout.driver import step
from liquid_control.rollout.expert import Expert
from liquid_control.rollout.tasks.track import TrackTask
from liquid_control.sim.appearance import HELD_OUT_SEASONS
from liquid_control.sim.car import command
from liquid_control.sim.difficulty import read_strength
from liquid_control.sim.ground import paint_ground
from liquid_control.sim.protocols import Motion, Pose
from liquid_control.sim.renderer import Image
from liquid_control.sim.road.difficulties import DIFFICULTIES, PRESETS
from liquid_control.sim.road.hills import Hills
from liquid_control.sim.road.lens import Lens
from liquid_control.sim.road.optics import effects
from liquid_control.sim.robots import CarSimulator, simulate_car
from liquid_control.sim.track import ROAD_WIDTH, generate_track
from liquid_control.sim.track_world import TrackWorld

SEED = 5
PLAIN = TrackWorld(SEED)
LENS = Lens(80, 60, above=0.185, before=0.3, pitch=0.26, fov=62.0)
STILL = Motion(0.0, 0.0, 0.0, 0.0, 0.0)
TURNING = replace(STILL, speed=1.5, yaw_rate=1.0)


def ground(seed: int = SEED, **strength: float) -> Image:
    return paint_ground(PLAIN.track, PLAIN.appearance, seed, strength)


def test_at_strength_0_the_world_is_that_of_training() -> None:
    nothing = TrackWorld(SEED, dict.fromkeys(DIFFICULTIES, 0.0))
    assert nothing.spec().to_xml() == PLAIN.spec().to_xml()
    assert np.array_equal(ground(**nothing.strength), ground())
    assert effects(LENS, nothing.strength, SEED, 0.0) == []
    with simulate_car(SEED, difficulty=nothing.strength, camera=False) as simulator:
        assert type(simulator.robot).__name__ == 'Car'
        assert simulator.world.track.width == ROAD_WIDTH


def test_what_lies_on_the_ground_changes_the_ground_and_is_drawn_from_the_seed() -> None:
    plain = ground()
    darker = {'wet', 'shadows'}
    for name in ('worn', 'missing', 'double', 'shadows', 'crossings', 'wet', 'elsewhere'):
        hard = ground(**{name: 1.0})
        changed = (hard != plain).any(axis=2).mean()
        assert 0.0005 < changed < 0.7, name
        assert not (name in darker and hard.mean() > plain.mean())
        assert TrackWorld(SEED, {name: 1.0}).track.width == ROAD_WIDTH
        last = hard
    assert np.array_equal(ground(elsewhere=1.0), last)


def test_elsewhere_leads_to_a_season_that_is_kept_from_training() -> None:
    there = TrackWorld(SEED, {'elsewhere': 1.0}).appearance
    assert there.season in HELD_OUT_SEASONS.values()
    assert replace(there, season=PLAIN.appearance.season) == PLAIN.appearance


def picture() -> Image:
    """Grey, with a white stripe up the middle."""
    image = np.full((60, 80, 3), 100, np.uint8)
    image[:, 38:42] = 255
    return image


def seen(motion: Motion = STILL, image: Image | None = None, **strength: float) -> Image:
    image = picture() if image is None else image
    for effect in effects(LENS, strength, SEED, sun_azimuth=0.0):
        image = effect.apply(image, motion)
    return image


def test_at_night_one_sees_what_the_headlights_reach() -> None:
    dark = seen(night=1.0).mean(axis=2)
    assert dark[50, 30] > 3 * dark[50, 2]
    assert dark[50, 30] > 3 * dark[5, 30]
    assert (dark < picture().mean(axis=2)).all()


def test_the_sun_blinds_whoever_drives_towards_it() -> None:
    assert seen(glare=1.0).mean() > picture().mean() + 40
    away = replace(STILL, yaw=math.pi / 2)
    assert np.array_equal(seen(away, glare=1.0), picture())


def test_exposure_and_readout_take_time_in_which_the_car_turns() -> None:
    assert np.array_equal(seen(blur=1.0, shutter=1.0), picture())  # it stands still
    edge = np.zeros((60, 80, 3), np.uint8)
    edge[:, 40:] = 255
    blurred = seen(TURNING, edge, blur=1.0)[10, :, 0]
    assert ((blurred > 0) & (blurred < 255)).sum() >= 2
    rows = (seen(TURNING, edge, shutter=1.0)[:, :, 0] > 127).argmax(axis=1)
    assert rows[59] == 40  # the last row is read now
    assert rows[2] < rows[40]  # the first ones earlier, when all was further left
    flow = LENS.flow(1.0, 0.0)
    assert flow[1, 55, 40] > flow[1, 40, 40] > 0.0  # the ground comes nearer, faster below


def test_drops_stay_where_they_are_on_the_lens() -> None:
    one, other = (seen(motion, drops=1.0) != picture() for motion in (STILL, TURNING))
    assert np.array_equal(one, other)
    assert 0.1 < one.any(axis=2).mean() < 0.6


def test_hills_tilt_the_camera_along_the_track_and_back() -> None:
    track = generate_track(SEED)
    hills = Hills(track, 1.0, SEED)
    poses = [track.pose_at(station) for station in np.linspace(0.0, track.length, 50)]
    pitches = [hills.pitch(Motion(*pose, 0.0, 0.0)) for pose in poses]
    assert max(pitches) > 0.04 > -0.04 > min(pitches)
    assert max(np.abs(pitches)) <= 0.12
    down = hills.tilt(np.eye(3).ravel(), Motion(*poses[np.argmax(pitches)], 0.0, 0.0))
    forward = -down.reshape(3, 3)[:, 2]
    assert forward[1] < 0.0  # the camera's own y axis is up


def driven(difficulty: dict[str, float], angles: list[float]) -> CarSimulator:
    simulator = simulate_car(SEED, difficulty=difficulty, camera=False)
    for angle in angles:
        simulator.step(command(angle, 1.0), 100_000_000)
    return simulator


def test_worn_actuators_are_late_have_play_and_go_too_fast() -> None:
    plain = driven({}, [0.2] * 10).motion
    late = driven({'delay': 1.0}, [0.2] * 10).motion
    assert late.x != plain.x
    assert late.speed == pytest.approx(plain.speed, abs=0.1)
    assert driven({'delay': 1.0}, [0.2]).motion.speed == pytest.approx(0.0, abs=0.02)
    assert driven({'fast': 1.0}, [0.0] * 10).motion.speed == pytest.approx(1.4, abs=0.1)
    slack = driven({'slack': 1.0}, [0.05] * 10).motion
    assert abs(slack.yaw_rate) < 0.02 < driven({}, [0.05] * 10).motion.yaw_rate


def test_a_narrow_road_is_left_sooner() -> None:
    with simulate_car(SEED, difficulty={'narrow': 1.0}, camera=False) as simulator:
        assert simulator.world.track.width == pytest.approx(0.45)
        simulator.reset(simulator.world.pose_at(offset=0.25))
        assert not simulator.status.place.on_road


@pytest.mark.parametrize('seed', [0, 1])
def test_the_expert_finishes_at_half_of_every_strength(seed: int) -> None:
    half = dict.fromkeys(DIFFICULTIES, 0.5)
    with simulate_car(seed, difficulty=half, camera=False) as simulator:
        task = TrackTask(simulator)
        assert len(simulator.world.traffic.things) == 4
        while not simulator.status.lap_times:
            simulator.step(task.expert(), 50_000_000)
            assert simulator.status.problem == ''
            assert simulator.time_ns < 30e9


class Blind:
    """An expert that does not know what is on the road."""

    def __init__(self, simulator: CarSimulator) -> None:
        self._simulator, self._expert = simulator, Expert(simulator.world.track)

    def sense(self, sample: object) -> None:
        """See nothing."""

    def act(self, now_ns: int) -> dict[str, float]:
        """On the centre line."""
        return dict(self._expert.command(self._simulator.motion))


def test_who_does_not_see_a_parked_car_touches_it_once() -> None:
    with simulate_car(SEED, difficulty={'parked': 1.0}, camera=False) as simulator:
        thing = simulator.world.traffic.things[0]
        start = thing.station - 1.0
        assert simulator.world.traffic.free_ahead(start) > 1.0
        assert simulator.world.traffic.free_ahead(start - 1.5) == 0.0
        simulator.reset(simulator.world.pose_at(station=start))
        blind = Blind(simulator)
        while simulator.status.progress < 2.0:
            step(simulator, blind, simulator.time_ns + 50_000_000)
    assert simulator.status.collisions == 1
    assert simulator.status.departures == 0
    assert 'touched something' in simulator.status.problem


def test_cars_on_the_road_drive_to_and_fro_where_the_judge_sees_them() -> None:
    with simulate_car(SEED, difficulty={'moving': 1.0}, camera=False) as simulator:
        world = simulator.world
        simulator.step(command(), 2_000_000_000)
        body = simulator.data.body('thing_0').xpos
        place = world.traffic.rectangle(world.traffic.things[0], 2.0)
        assert (body[0], body[1]) == pytest.approx((place.x, place.y), abs=0.01)
        before = world.traffic.rectangle(world.traffic.things[0], 0.0)
        assert math.dist((before.x, before.y), (place.x, place.y)) > 0.1


def test_presets_are_multiplied_and_what_is_none_is_refused() -> None:
    known = TrackWorld.difficulties
    found = read_strength(['hard=0.5', 'night=1', 'scene=0'], known, PRESETS)
    assert found['worn'] == pytest.approx(0.5 * PRESETS['hard']['worn'])
    assert (found['night'], found['scene']) == (1.0, 0.0)
    for entry in ('night', 'fog=1', 'hard=2', 'night=-1', 'night=nan'):
        with pytest.raises(ConfigError):
            read_strength([entry], known, PRESETS)


def test_a_car_put_down_in_a_hard_world_is_at_rest() -> None:
    with simulate_car(SEED, difficulty={'delay': 1.0}, camera=False) as simulator:
        simulator.step(command(0.3, 2.0), 500_000_000)
        simulator.reset(Pose())
        assert simulator.motion.speed == pytest.approx(0.0, abs=0.01)
