"""The simulator as a whole: same seed, same world; other seed, other world."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from liquid_control.rollout.expert import Expert
from liquid_control.sim.car import Command
from liquid_control.sim.sensors import CameraFrame, ImuSample, Observation
from liquid_control.sim.simulator import Simulator

PERIOD_NS = 50_000_000


def drive(simulator: Simulator, ticks: int) -> Iterator[Observation]:
    expert = Expert(simulator.track)
    for _ in range(ticks):
        yield from simulator.step(expert.command(simulator.motion), PERIOD_NS)


def frames(observations: Iterator[Observation]) -> list[CameraFrame]:
    return [seen for seen in observations if isinstance(seen, CameraFrame)]


def test_a_seed_repeats_a_drive_bit_by_bit_also_after_reset() -> None:
    with Simulator(5) as simulator, Simulator(5) as twin:
        first, second = list(drive(simulator, 10)), list(drive(twin, 10))
        simulator.reset()
        third = list(drive(simulator, 10))
    for other in (second, third):
        assert [seen.stamp_ns for seen in other] == [seen.stamp_ns for seen in first]
        for a, b in zip(first, other, strict=True):
            if isinstance(a, CameraFrame) and isinstance(b, CameraFrame):
                assert np.array_equal(a.rgb, b.rgb)
            elif isinstance(a, ImuSample) and isinstance(b, ImuSample):
                assert np.array_equal(a.values, b.values)
            else:
                assert a == b


def test_camera_sees_a_moving_world_at_its_rate() -> None:
    with Simulator(5, image_width=80, image_height=60) as simulator:
        seen = frames(drive(simulator, 20))
    assert len(seen) == 30
    assert seen[0].rgb.shape == (60, 80, 3)
    assert np.abs(seen[-1].rgb.astype(int) - seen[0].rgb).mean() > 5


def test_pictures_differ_by_seed() -> None:
    pictures = []
    for seed in (1, 2, 101):
        with Simulator(seed) as simulator:
            pictures.append(frames(drive(simulator, 1))[0].rgb.astype(int))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(pictures[a] - pictures[b]).mean() > 10


def test_without_randomisation_only_the_track_differs() -> None:
    with Simulator(1, randomise=False) as one, Simulator(2, randomise=False) as other:
        assert one.look == other.look
        assert not np.allclose(one.track.points, other.track.points, atol=0.1)


@pytest.mark.parametrize('seed', [1, 2])
def test_the_road_is_painted_where_the_track_is(seed: int) -> None:
    """On the centre line the picture's lower middle is grey, beside the road it is green."""

    def greenness(offset: float, station: float) -> float:
        simulator.reset(station=station, offset=offset)
        patch = frames(iter(simulator.step(Command(), PERIOD_NS)))[0].rgb[90:, 60:100].astype(int)
        return float(np.median(patch[..., 1] - patch[..., [0, 2]].max(axis=-1)))

    with Simulator(seed, randomise=False) as simulator:
        for station in np.linspace(0.0, simulator.track.length, 8, endpoint=False).tolist():
            assert greenness(0.0, station) < 10  # asphalt, or a yellow dash
            assert greenness(1.0, station) > 20


def test_time_never_passes_the_end_of_a_step_and_catches_up() -> None:
    simulator = Simulator(0, camera=False)
    for tick in range(1, 31):
        due_ns = round(tick * 1e9 / 30.0)
        simulator.step(Command(), due_ns - simulator.time_ns)
        assert due_ns - 2_500_000 < simulator.time_ns <= due_ns


def test_a_picture_larger_than_the_renderer_is_refused() -> None:
    with pytest.raises(ValueError, match='at most 640x480, got 1000x120'):
        Simulator(0, image_width=1000)
