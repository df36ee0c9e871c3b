# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Replay of real robots' recordings, where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.bundles import make_bundle
from typer.testing import CliRunner

from liquid_control.bags.reader import BagReader
from liquid_control.cli.main import app
from liquid_control.evaluate.replay.bag_replay import Options, replay_bag
from liquid_control.runtime.inference.policy import Policy

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data'
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason='the recordings are not here')


def test_shipped_policy_steers_as_the_person_did_on_frames_it_never_saw(tmp_path: Path) -> None:
    report, golden = tmp_path / 'report.json', tmp_path / 'golden.csv'
    ask = ['replay', str(DATA / 'donkeycar_bag'), '--policy', 'donkeycar_cfc']
    ask += ['--start-frame', '800']
    result = CliRunner().invoke(app, [*ask, '--json', str(report), '--csv', str(golden)])
    assert result.exit_code == 0, result.output
    found = json.loads(report.read_text())
    assert (found['frames'], found['ticks'], found['ticks_left_out']) == (200, 200, 0)
    # Ridge regression on small grey images explains 0.58 of the steering's variance here.
    assert found['commands']['steering']['r2'] > 0.86  # 0.845 to 0.880 its five members
    assert CliRunner().invoke(app, [*ask, '--golden', str(golden)]).exit_code == 0


@pytest.mark.parametrize('command', ['/cmd_vel_stamped', '/odom'])
def test_irregular_sensors_of_a_real_car_feed_a_camera_less_policy(
    tmp_path: Path, command: str
) -> None:
    policy = Policy.load(make_bundle(tmp_path / 'blind', image=False, speed=True))
    with BagReader(DATA / 'comma2k19_bag') as reader:
        result = replay_bag(
            reader, policy, Options(topics={'command': command, 'odom': '/odom'}, wheelbase=2.7)
        )
        speeds = [message.value.twist.twist.linear.x for message in reader.messages(['/odom'])]
    assert result.left_out <= 1  # the first IMU message comes before the first speed
    assert np.diff(result.trace.stamp_ns).tolist() == [50_000_000] * (len(result.trace.frame) - 1)
    assert 55 < result.duration < 61
    recorded = result.trace.recorded[:, result.trace.names.index('speed')]
    known = recorded[np.isfinite(recorded)]
    assert len(known) > 1000
    assert known.mean() == pytest.approx(np.mean(speeds), rel=0.01)
