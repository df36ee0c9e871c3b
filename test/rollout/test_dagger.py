# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Guided drives: the policy drives, every answer is the expert's, and the road is not left."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from support.bundles import make_bundle

from liquid_control.bags import samples
from liquid_control.bags.reader import BagReader
from liquid_control.bags.topics import find_topic
from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.modes import Mode
from liquid_control.rollout import messages
from liquid_control.rollout.dagger import MODE_TOPIC, STATE_TOPIC, Guided, guide, summarise
from liquid_control.sim.car import WHEELBASE
from liquid_control.sim.simulator import HELD_OUT_SEEDS, SELECTION_SEEDS
from liquid_control.sim.track import ROAD_WIDTH, generate_track

SEED, SECONDS = 4, 8.0


@pytest.fixture(scope='module')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp('models') / 'random')


@pytest.fixture(scope='module')
def bag(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return guide([Guided(SEED, SECONDS, bundle)], tmp_path_factory.mktemp('bags'))[0]


def test_training_takes_the_expert_s_answers_for_the_commands(bag: Path) -> None:
    with BagReader(bag) as reader:
        assert find_topic(reader.topics, 'command') == messages.COMMAND_TOPIC
        answers, pushed = [], []
        for message in reader.messages([messages.COMMAND_TOPIC, STATE_TOPIC]):
            if message.topic == messages.COMMAND_TOPIC:
                answers.append(samples.command(message, messages.COMMAND_NAMES, WHEELBASE))
                continue
            state = message.value
            if state.mode == Mode.AUTONOMOUS:
                pushed.append((state.command_raw[0], len(answers)))
        angles = np.array(answers)[:, 0]
    assert len(answers) == pytest.approx(60 * SECONDS, abs=3)
    # What the policy wanted is another matter, and stands beside it.
    wanted = np.array([angle for angle, _ in pushed])
    answered = angles[[index for _, index in pushed]]
    assert np.abs(wanted - answered).mean() > 0.05


def test_the_expert_takes_over_before_the_road_ends(bag: Path) -> None:
    track = generate_track(SEED)
    with BagReader(bag) as reader:
        modes = [message.value for message in reader.messages([MODE_TOPIC])]
        furthest = 0.0
        for message in reader.messages([messages.ODOMETRY_TOPIC]):
            pose = message.value.pose.pose
            yaw = 2 * np.arctan2(pose.orientation.z, pose.orientation.w)
            place = track.locate(pose.position.x, pose.position.y, yaw)
            furthest = max(furthest, abs(place.offset))
    assert 0.2 < furthest < ROAD_WIDTH / 2
    kinds = [Mode(entry.mode) for entry in modes]
    assert kinds[0] is Mode.AUTONOMOUS
    assert set(kinds) == {Mode.AUTONOMOUS, Mode.MANUAL}
    assert all(one is not other for one, other in itertools.pairwise(kinds))
    assert summarise(bag).takeovers == kinds.count(Mode.MANUAL)
    assert 0 < summarise(bag).expert_share < 1


def test_the_car_obeys_whoever_is_at_the_wheel(bag: Path) -> None:
    with BagReader(bag) as reader:
        answer, sent = None, []
        for message in reader.messages([messages.COMMAND_TOPIC, STATE_TOPIC]):
            if message.topic == STATE_TOPIC:
                state = message.value
            elif message.stamp_ns == state.header.stamp.sec * 10**9 + state.header.stamp.nanosec:
                answer = samples.command(message, messages.COMMAND_NAMES, WHEELBASE)
                if state.mode == Mode.MANUAL:
                    sent.append(np.subtract(state.command, answer))
    assert len(sent) > 10
    assert np.abs(sent).max() < 1e-6


def test_drives_of_the_same_policy_are_kept_and_those_of_another_refused(
    bundle: Path, tmp_path: Path
) -> None:
    bag = guide([Guided(SEED, 0.5, bundle)], tmp_path)[0]
    stamp = (bag / 'metadata.yaml').stat().st_mtime_ns
    assert guide([Guided(SEED, 0.5, bundle)], tmp_path) == [bag]
    assert (bag / 'metadata.yaml').stat().st_mtime_ns == stamp
    other = make_bundle(tmp_path / 'other', seed=1)
    assert load_bundle(other).digest != load_bundle(bundle).digest
    with pytest.raises(ConfigError, match='recorded with'):
        guide([Guided(SEED, 0.5, other)], tmp_path)


def test_a_policy_for_another_robot_is_refused(tmp_path: Path) -> None:
    donkey = make_bundle(tmp_path / 'donkey', commands=('steering', 'throttle'))
    with pytest.raises(ConfigError, match='no simulated robot takes steering, throttle'):
        guide([Guided(SEED, 1.0, donkey)], tmp_path / 'bags')
    assert not any((tmp_path / 'bags').glob('*'))


@pytest.mark.parametrize('seed', HELD_OUT_SEEDS[:1] + SELECTION_SEEDS[:1])
def test_held_out_tracks_are_refused(seed: int, bundle: Path) -> None:
    with pytest.raises(ConfigError, match='held out'):
        Guided(seed, 1.0, bundle)
