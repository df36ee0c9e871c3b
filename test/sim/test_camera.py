# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Pictures are worked out when they are looked at, and only what is in sight is drawn."""

from __future__ import annotations

import importlib
from typing import Any

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from liquid_control.rollout.expert import Expert
from liquid_control.sim import gl
from liquid_control.sim.car import CHASE_CAMERA
from liquid_control.sim.protocols import PREFIX, Sample
from liquid_control.sim.renderer import InSight, Renderer
from liquid_control.sim.road.difficulties import PRESETS
from liquid_control.sim.robots import CarSimulator, simulate_car

HARD = {**PRESETS['hard'], 'moving': 1.0}


def taken(simulator: CarSimulator, seconds: float = 0.5) -> list[Sample]:
    """The pictures of a drive, none of them looked at."""
    expert, seen = Expert(simulator.world.track), list[Sample]()
    for _ in range(round(seconds / 0.05)):
        seen += simulator.step(expert.command(simulator.motion), 50_000_000)
    return [sample for sample in seen if sample.sensor == 'image']


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one with every picture that is rendered."""
    calls, render = list[object](), Renderer.render

    def counted(self: Renderer, data: object) -> object:
        calls.append(data)
        return render(self, data)

    monkeypatch.setattr(Renderer, 'render', counted)
    return calls


def test_a_picture_is_the_same_whenever_and_with_whichever_others_it_is_looked_at(
    rendered: list[object],
) -> None:
    with simulate_car(5, difficulty=HARD) as simulator:
        expert, at_once = Expert(simulator.world.track), list[Sample]()
        for _ in range(10):
            for sample in simulator.step(expert.command(simulator.motion), 50_000_000):
                if sample.sensor == 'image':
                    assert sample.value is sample.value
                    at_once.append(sample)
        assert len(rendered) == len(at_once) == 15
        simulator.reset()
        later = taken(simulator)
        assert len(rendered) == 15
        for index in (14, 3):
            assert np.array_equal(later[index].value, at_once[index].value)
        assert len(rendered) == 17
        kept = later[7]
        later.clear()
    assert len(rendered) == 18  # what is still held when the simulator closes, nothing else
    assert np.array_equal(kept.value, at_once[7].value)


@pytest.mark.parametrize('difficulty', [{}, HARD])
def test_what_is_out_of_sight_makes_no_difference(
    difficulty: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares, look = list[float](), InSight.__call__

    def noted(self: InSight, data: mujoco.MjData) -> NDArray[np.bool_]:
        seen = look(self, data)
        shares.append(float(seen.mean()))
        return seen

    def everything(self: InSight, data: mujoco.MjData) -> NDArray[np.bool_]:
        return np.ones_like(look(self, data))

    with simulate_car(5, difficulty=difficulty, camera=False) as simulator:
        renderer = Renderer(simulator.model, 160, 120, f'{PREFIX}{CHASE_CAMERA}')
        for station in np.arange(0.0, simulator.world.track.length, 2.0).tolist():
            simulator.reset(simulator.world.pose_at(station=station))
            monkeypatch.setattr(InSight, '__call__', noted)
            drawn = renderer.render(simulator.data)
            monkeypatch.setattr(InSight, '__call__', everything)
            assert np.array_equal(drawn, renderer.render(simulator.data))
        renderer.close()
    assert np.mean(shares) < 0.6


def test_worlds_side_by_side_share_opengl_and_see_each_its_own() -> None:
    alone = []
    for seed in (5, 6):
        with simulate_car(seed, image_width=80, image_height=60) as simulator:
            alone.append(taken(simulator, 0.1)[-1])
    context = gl.thread_context()
    options: dict[str, Any] = {'image_width': 80, 'image_height': 60}
    with simulate_car(5, **options) as first, simulate_car(6, **options) as second:
        pictures = [taken(simulator, 0.1)[-1] for simulator in (first, second)]
        importlib.import_module(f'mujoco.{gl.backend()}').GLContext(16, 16).make_current()
        values = [picture.value for picture in pictures]
    assert gl.thread_context() is context
    for value, expected in zip(values, alone, strict=True):
        assert np.array_equal(value, expected.value)
    assert not np.array_equal(*values)
