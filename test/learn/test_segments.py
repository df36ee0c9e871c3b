# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Who drove when: what is learnt from a policy's own drives, corrections and recoveries."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from support import recordings as rec
from support.stripe_drives import COMMANDS, RECIPE, SIGNALS, WHEELBASE

from liquid_control.bags.errors import BagError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.modes import Mode
from liquid_control.contract.wire import twist_axes
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.episode import Episode
from liquid_control.learn.data.segments import Weights
from liquid_control.learn.data.sequences import Windows, whole
from liquid_control.learn.data.series import told_apart
from liquid_control.learn.train.recipe import Fit, Timing
from liquid_control.learn.train.trainer import train

BLIND = replace(SIGNALS, inputs={'imu': SIGNALS.inputs['imu']})
CONSOLE = Console(quiet=True)
PERIOD_NS = 50_000_000
TICKS = 1_000_000_000 // PERIOD_NS
TYPES = {
    'policy_node/mode': 'liquid_control/msg/ControlMode',
    'cmd_vel_override': 'geometry_msgs/msg/TwistStamped',
}
POLICY, PERSON = -0.2, 0.3


def at(seconds: float) -> int:
    return rec.START_NS + round(seconds * 1e9)


def steer(seconds: float, angle: float, topic: str = rec.COMMAND) -> rec.Entry:
    twist = twist_axes({'steering_angle': angle, 'speed': 1.0}, WHEELBASE)
    return rec.command_entry(at(seconds), twist['velocity_x'], twist['yaw_rate'])._replace(
        topic=topic
    )


def write(path: Path, seconds: float, entries: list[rec.Entry]) -> Path:
    entries += [rec.imu_entry(at(i * 0.02), yaw_rate=0.0) for i in range(round(seconds * 50) + 1)]
    return rec.write_bag(path, sorted(entries, key=lambda entry: entry.stamp_ns), **TYPES)


def mode(seconds: float, value: Mode) -> rec.Entry:
    return rec.Entry(at(seconds), '/policy_node/mode', {'mode': int(value), 'policy': 'mine'})


def takeover(path: Path, *, before: Mode = Mode.AUTONOMOUS) -> Path:
    """Somebody at the stick from 2 to 3 s; the policy node holds the last command until 3.5 s."""
    entries = [mode(0.0, before), mode(2.0, Mode.MANUAL), mode(2.5, Mode.MANUAL)]
    entries += [mode(3.5, Mode.AUTONOMOUS), mode(5.0, Mode.SAFE_STOP)]
    entries += [mode(5.5, Mode.DISENGAGED)]
    for tick in range(6 * TICKS + 1):
        seconds = tick / TICKS
        entries.append(steer(seconds, PERSON if 2.0 < seconds <= 3.5 else POLICY))
    # A stick's message comes just before the change that it causes.
    entries += [steer(1.995 + i * 0.02, PERSON, '/cmd_vel_override') for i in range(51)]
    return write(path, 6.0, entries)


def open_one(bag: Path) -> Episode:
    (episode,) = build([bag], BLIND, bag.parent / 'store', CONSOLE)
    return episode


def test_autonomous_and_corrected_segments_are_told_apart(tmp_path: Path) -> None:
    spans = [
        (kind, (start_ns - rec.START_NS) / 1e9, (end_ns - rec.START_NS) / 1e9)
        for kind, start_ns, end_ns in open_one(takeover(tmp_path / 'bag')).segments
    ]
    assert spans == [
        ('autonomous', 0.0, 2.0),
        ('corrected', 2.0, 3.5),
        ('autonomous', 3.5, 5.0),
        ('stopped', 5.0, 5.5),
        ('human', 5.5, 6.0),
    ]


def test_a_person_at_the_stick_without_a_policy_demonstrates(tmp_path: Path) -> None:
    bag = takeover(tmp_path / 'bag', before=Mode.DISENGAGED)
    assert open_one(bag).segments[0] == ('human', at(0.0), at(3.5))


def test_a_correction_is_learnt_in_the_person_s_own_words_and_the_policy_s_are_not(
    tmp_path: Path,
) -> None:
    steps = whole(open_one(takeover(tmp_path / 'bag')), PERIOD_NS)
    angle = steps.commands[:, 0].numpy()
    # At once, though the robot was told a tick later; and not after the stick was let go.
    first, last = 2 * TICKS, round(2.95 * TICKS)
    np.testing.assert_allclose(angle[first : last + 1], PERSON, atol=1e-6)
    assert np.isnan(angle[:first]).all()
    assert np.isnan(angle[3 * TICKS : round(5.5 * TICKS)]).all()
    assert steps.weights[first : last + 1].eq(Weights().interventions).all()


def test_nothing_of_what_a_person_says_with_one_stamp_is_lost(tmp_path: Path) -> None:
    """As a page that answers ten messages a second with twenty commands."""
    entries = [mode(0.0, Mode.DISENGAGED), mode(1.0, Mode.MANUAL)]
    entries += [steer(i / TICKS, POLICY) for i in range(2 * TICKS + 1)]
    for seconds in np.arange(10) / 10 + 1:
        said = steer(seconds, -PERSON, '/cmd_vel_override')
        again = steer(seconds, PERSON, '/cmd_vel_override')
        entries += [said, again._replace(late_ns=PERIOD_NS)]
    angle = whole(open_one(write(tmp_path / 'bag', 2.0, entries)), PERIOD_NS).commands[:, 0]
    given = torch.tensor([-PERSON, PERSON] * 10)
    torch.testing.assert_close(angle[TICKS : 2 * TICKS], given)


def test_commands_of_one_stamp_stay_before_the_next() -> None:
    assert told_apart([5, 5, 5, 8, 8], [50, 51, 90, 91, 95]) == [5, 6, 7, 8, 12]
    assert told_apart([5, 5, 4, 4], [0, 0, 0, 0]) == [5, 6, 4, 5]
    assert told_apart([5, 5, 5], [0, 7, 7]) == [5, 12, 13]
    assert told_apart([5, 5, 5, 5], [0, 7, 3, 3]) == [5, 12, 13, 14]
    assert told_apart([], []) == []
    # As of a driver who leaves the stamp out.
    assert told_apart([0] * 50_000, [0] * 50_000) == list(range(50_000))
    assert told_apart([], []) == []


def test_without_the_stick_s_topic_what_the_robot_was_told_is_learnt(tmp_path: Path) -> None:
    entries = [mode(0.0, Mode.AUTONOMOUS), mode(1.0, Mode.MANUAL)]
    entries += [steer(i / TICKS, PERSON if i > TICKS else POLICY) for i in range(2 * TICKS + 1)]
    angle = whole(open_one(write(tmp_path / 'bag', 2.0, entries)), PERIOD_NS).commands[:, 0]
    torch.testing.assert_close(angle[TICKS + 1 :], torch.full((TICKS,), PERSON))


def test_every_window_of_a_long_autonomous_drive_has_something_to_learn(tmp_path: Path) -> None:
    entries = [mode(0.0, Mode.AUTONOMOUS), mode(30.0, Mode.MANUAL), mode(30.4, Mode.AUTONOMOUS)]
    entries += [steer(i / TICKS, POLICY) for i in range(40 * TICKS + 1)]
    episode = open_one(write(tmp_path / 'bag', 40.0, entries))
    windows = Windows([episode], PERIOD_NS, Timing(steps=16), 1)
    assert windows.count_per_pass <= 3
    assert all(torch.isfinite(windows[i].commands).any() for i in range(50))


def test_windows_of_drives_without_a_policy_are_where_they_always_were(tmp_path: Path) -> None:
    entries = [steer(i / TICKS, PERSON) for i in range(4 * TICKS + 1)]
    episode = open_one(write(tmp_path / 'bag', 4.0, entries))
    middle = at(1.7)
    parts = (('human', episode.start_ns, middle), ('recovery', middle, episode.end_ns))
    divided = replace(episode, segments=tuple(map(type(episode.segments[0])._make, parts)))
    one, other = (Windows([e], PERIOD_NS, Timing(), 1) for e in (episode, divided))
    for index in range(5):
        torch.testing.assert_close(
            one[index].inputs['imu'], other[index].inputs['imu'], rtol=0, atol=0
        )
        torch.testing.assert_close(one[index].elapsed, other[index].elapsed, rtol=0, atol=0)


def test_a_recovery_is_what_a_driver_does_about_a_push(tmp_path: Path) -> None:
    """Told to go straight on; from 2.0 s to 2.4 s the car turns nevertheless."""
    entries = [steer(i / TICKS, 0.0) for i in range(5 * TICKS + 1)]
    for index in range(251):
        seconds = index * 0.02
        angle = 0.3 if 2.0 <= seconds <= 2.4 or seconds == 4.0 else 0.0
        twist = {'linear': {'x': 1.5}, 'angular': {'z': 1.5 * math.tan(angle) / WHEELBASE}}
        entries.append(rec.Entry(at(seconds), rec.ODOM, {'twist': {'twist': twist}}))
    episode = open_one(write(tmp_path / 'bag', 5.0, entries))
    kinds = [segment.kind for segment in episode.segments]
    # A single odd measurement, at 4.0 s, is no push.
    assert kinds == ['human', 'recovery', 'human']
    assert episode.segments[1] == ('recovery', at(2.0), at(2.9))
    weights = whole(episode, PERIOD_NS, Weights(recoveries=3.0)).weights
    assert weights.unique().tolist() == [1.0, 3.0]
    assert whole(episode, PERIOD_NS).weights.eq(1.0).all()


@pytest.mark.parametrize(('interventions', 'expected'), [(1.0, 0.0), (4.0, -0.12)])
def test_a_correction_pulls_as_hard_as_its_weight(
    tmp_path: Path, interventions: float, expected: float
) -> None:
    """In half of the time a person steers to the left, in the other one corrects to the right."""
    entries = [mode(0.0, Mode.DISENGAGED), mode(3.99, Mode.AUTONOMOUS), mode(4.0, Mode.MANUAL)]
    entries += [steer(i / TICKS, 0.2 if i < 4 * TICKS else -0.2) for i in range(8 * TICKS + 1)]
    bag = write(tmp_path / 'bag', 8.0, entries)
    recipe = replace(
        RECIPE,
        signals=replace(BLIND, commands=COMMANDS[:1]),
        holdout=0.0,
        weights=Weights(interventions=interventions),
        augment=replace(RECIPE.augment, flip=0.0),
        fit=Fit(epochs=8, passes=20, batch_size=16, learning_rate=1e-2),
    )
    train(
        [bag],
        recipe,
        tmp_path / 'policy',
        store=tmp_path / 'store',
        runs=tmp_path / 'runs',
        console=CONSOLE,
    )
    facts = load_bundle(tmp_path / 'policy').contract.provenance
    assert 'corrected 4.0 s' in facts['datasets'][0]['who drove']
    # Nothing tells the halves apart: the best answer is the weighted mean.
    error = facts['metrics']['training, steering_angle']['mae']
    assert error == pytest.approx(abs(0.2), abs=0.02)
    assert facts['metrics']['training, steering_angle']['rmse'] == pytest.approx(
        math.hypot(0.2, expected), abs=0.02
    )


def test_drives_of_a_policy_alone_teach_nothing(tmp_path: Path) -> None:
    entries = [mode(0.0, Mode.AUTONOMOUS)]
    entries += [steer(i / TICKS, POLICY) for i in range(4 * TICKS + 1)]
    bag = write(tmp_path / 'bag', 4.0, entries)
    recipe = replace(RECIPE, signals=BLIND, holdout=0.0)
    with pytest.raises(BagError, match='a policy drove in all of these recordings'):
        train([bag], recipe, tmp_path / 'policy', store=tmp_path / 'store', console=CONSOLE)
