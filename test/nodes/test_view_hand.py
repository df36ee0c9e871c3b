# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A hand on the wheel and the link to a page, on a virtual clock."""

from __future__ import annotations

import math

import pytest

from liquid_control.nodes.view.hand import (
    PATIENCE,
    HandAxis,
    HandError,
    Wheel,
    command,
    given_ns,
)
from liquid_control.nodes.view.link import FAST, SIZES, SLOW, Link

AXES = (HandAxis('steering_angle', 'rad', -0.5, 0.5), HandAxis('speed', 'm/s', -0.2, 2.0))


@pytest.mark.parametrize(
    ('asked', 'values'),
    [
        ({'steering_angle': 1, 'speed': 0.5}, (0.5, 1.0)),
        ({'steering_angle': -0.5, 'speed': -1.0}, (-0.25, -0.2)),
        ({'speed': 1}, (0.0, 2.0)),
        ({}, (0.0, 0.0)),
    ],
)
def test_hand_asks_for_a_share_of_the_range(
    asked: dict[str, float], values: tuple[float, ...]
) -> None:
    assert command(AXES, asked) == pytest.approx(values)


@pytest.mark.parametrize(
    'asked',
    [
        {'speed': 1.01}, {'speed': -2}, {'speed': math.nan}, {'speed': math.inf}, {'speed': True},
        {'speed': '1'}, {'speed': None}, {'speed': [1]}, {'throttle': 1},
        {'speed': 0, 'steering_angle': 0, 'more': 0}, [1, 2], 'speed', 3,
    ],
)  # fmt: skip
def test_what_is_no_share_is_refused(asked: object) -> None:
    with pytest.raises(HandError):
        command(AXES, asked)


def test_joint_that_nobody_touches_stays_where_it_is() -> None:
    arm = (
        HandAxis('lift/position', 'rad', 0.5, 1.5, moves=False, place=True),
        HandAxis('spin/velocity', 'rad/s', -2.0, 2.0),
    )
    held = {'lift/position': 0.7}
    assert command(arm, {'spin/velocity': 0.5}, held) == (0.7, 1.0)
    assert command(arm, {'lift/position': -1.0}, held) == (0.5, 0.0)
    with pytest.raises(HandError, match='is not known'):
        command(arm, {'spin/velocity': 0.5})


def test_nobody_steers_a_robot_whose_limits_are_not_known() -> None:
    with pytest.raises(HandError, match='not known'):
        command((), {})


@pytest.mark.parametrize(
    ('had', 'given'),
    [
        (0.0, 5000), (0.05, 5250), (0.2, 6000),
        (9.0, 6000), (-1.0, 5000), (math.nan, 5000), (None, 5000), ('0.1', 5000), (True, 5000),
    ],
)  # fmt: skip
def test_command_is_dated_by_what_its_page_saw_and_how_long_it_had_it(
    had: object, given: int
) -> None:
    """Simulated time may go slower than that of a page, and a page may say anything."""
    assert given_ns(5000, 6000, passed=0.2, had=had) == given
    assert given_ns(5000, 4000, passed=0.2, had=had) == 5000, 'the clock went back'


def test_one_hand_at_a_time() -> None:
    wheel = Wheel()
    assert wheel.grip('a', 0.0)
    assert not wheel.grip('a', 0.05)
    with pytest.raises(HandError, match='somebody else'):
        wheel.grip('b', 0.1)
    assert not wheel.release('b')
    assert wheel.release('a')
    assert wheel.grip('b', 0.1)


def test_silent_hand_is_lost_and_another_may_take_over() -> None:
    wheel = Wheel()
    wheel.grip('a', 0.0)
    assert not wheel.lost(PATIENCE)
    assert wheel.lost(PATIENCE + 0.01)
    assert not wheel.lost(PATIENCE + 0.02), 'told once'
    wheel.grip('a', 1.0)
    assert wheel.grip('b', 1.0 + PATIENCE + 0.01)


def frames(link: Link, seconds: float, delay: float) -> int:
    """How many frames go out while each takes so long to be acknowledged."""
    now, count, answers = link.time if hasattr(link, 'time') else 0.0, 0, []
    for _ in range(round(seconds / 0.01)):
        now += 0.01
        while answers and answers[0][0] <= now:
            link.acknowledged(answers.pop(0)[1], now)
        if link.ready(now):
            answers.append((now + delay, link.sent(now)))
            count += 1
    link.time = now
    return count


def test_rate_of_frames_follows_the_link() -> None:
    assert frames(Link(1 / 15), 10.0, 0.01) == pytest.approx(150, abs=8)
    assert frames(Link(1 / 15), 10.0, 0.5) == pytest.approx(20, abs=2)
    assert frames(Link(1 / 15), 4.0, 99.0) == 1, 'one on its way at a time'


def test_size_of_frames_follows_the_link() -> None:
    link = Link(1 / 15)
    assert link.size == SIZES[0]
    frames(link, 10.0, SLOW + 0.05)
    assert link.size == SIZES[-1]
    frames(link, 10.0, (SLOW + FAST) / 2)
    assert link.size == SIZES[-1], 'neither fast nor slow'
    frames(link, 20.0, FAST / 2)
    assert link.size == SIZES[0]
