# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy bundle at the wheel of the simulated car, through the robot's own controller."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.bundles import make_bundle

from liquid_control.common.errors import BundleError, ConfigError
from liquid_control.rollout import driver as rollout_module
from liquid_control.rollout.driver import PolicyDriver, drive, kept_policy
from liquid_control.runtime.inference.policy import Policy
from liquid_control.sim.car import command as car_command
from liquid_control.sim.protocols import Command, Sample


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up after six seconds: an untrained policy may circle on the spot for ever."""
    monkeypatch.setattr(rollout_module, '_SLOWEST', 5.0)


class Witness(PolicyDriver):
    """Remembers what was sensed and done, and counts the encoder's runs."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.frames = self.samples = 0
        self.commands: list[tuple[int, Command]] = []

    def sense(self, sample: Sample) -> None:
        self.frames += sample.sensor == 'image'
        self.samples += sample.sensor == 'imu'
        super().sense(sample)

    def act(self, now_ns: int) -> Command:
        command = super().act(now_ns)
        self.commands.append((now_ns, command))
        return command


def test_a_policy_drives_at_its_rate_on_all_that_was_sensed(tmp_path: Path) -> None:
    witness = Witness(Policy.load(make_bundle(tmp_path / 'random', speed=True)))
    rollout = drive(witness, 1, laps=1)
    stamps = [stamp for stamp, _ in witness.commands]
    assert stamps == [tick * 50_000_000 for tick in range(len(stamps))]
    assert witness.commands[0][1] == car_command()  # nothing was sensed yet, nothing is engaged
    assert witness.commands[-1][1]['speed'] > 0.1
    assert witness.frames == pytest.approx(30 * rollout.duration, abs=1)
    assert witness.samples == pytest.approx(200 * rollout.duration, abs=1)
    assert rollout.problem


def test_the_same_policy_drives_the_same_way_twice(tmp_path: Path) -> None:
    policy = Policy.load(make_bundle(tmp_path / 'random'))
    witnesses = []
    for _ in range(2):
        witnesses.append(Witness(policy))
        drive(witnesses[-1], 2, laps=1)
    assert witnesses[0].commands == witnesses[1].commands


def test_a_policy_for_another_robot_is_refused(tmp_path: Path) -> None:
    policy = Policy.load(make_bundle(tmp_path / 'donkey', commands=('steering', 'throttle')))
    with pytest.raises(ConfigError, match=r'commands .*throttle'):
        PolicyDriver(policy)


def test_a_policy_is_loaded_once_until_its_bundle_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(tmp_path / 'random')
    loads, load = list[Path](), Policy.load

    def counted(path: Path) -> Policy:
        loads.append(path)
        return load(path)

    monkeypatch.setattr(Policy, 'load', counted)
    policy = kept_policy(bundle)
    features = policy.encode('image', np.full((120, 160, 3), 90, np.uint8))
    inputs = {'image': features, 'imu': np.ones(6, np.float32)}
    first = policy.step(inputs, 0.05)
    assert not np.array_equal(policy.step(inputs, 0.05), first)
    assert kept_policy(bundle) is policy
    assert np.array_equal(policy.step(inputs, 0.05), first)  # nothing of before is left in it
    assert len(loads) == 1

    shutil.rmtree(bundle)
    make_bundle(bundle, seed=1)
    other = kept_policy(bundle)
    assert other is not policy
    assert not np.array_equal(
        other.encode('image', np.full((120, 160, 3), 90, np.uint8)), features
    )
    shutil.rmtree(bundle)
    with pytest.raises(BundleError, match='no policy bundle'):
        kept_policy(bundle)
