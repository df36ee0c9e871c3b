# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`liquid-control drive` on its real processes: it ends well, badly, or when told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from support import bundles
from support.layouts import LAYOUTS, fields

from liquid_control.bags import samples
from liquid_control.bags.reader import BagReader
from liquid_control.common.assets import find_bundle
from liquid_control.common.errors import ConfigError
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import ImuSpec
from liquid_control.evaluate.closed_loop import domains
from liquid_control.evaluate.closed_loop.drive import DriveOptions, drive
from liquid_control.evaluate.closed_loop.record import IMAGE, STATE
from liquid_control.evaluate.replay.live_run import replay_ticks
from liquid_control.nodes.common.dds import use_default_profile
from liquid_control.runtime.inference.policy import Policy

IMU = '/imu/data'
NODES = ('policy_node', 'recorder_node', 'simulator_node')


def start(
    policy: Path, out: Path, *, laps: int = 1, domain: int | None = None
) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != 'ROS_DOMAIN_ID'}
    if domain is not None:
        environment['ROS_DOMAIN_ID'] = str(domain)
    return subprocess.Popen(
        [
            *(sys.executable, '-m', 'liquid_control.cli', 'drive', '--policy', str(policy)),
            *('--seed', '101', '--laps', str(laps), '--out', str(out)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until(done: Callable[[], bool], process: subprocess.Popen[str], what: str) -> None:
    deadline = time.monotonic() + 90
    while not done():
        assert process.poll() is None, f'ended before {what}: {process.communicate()}'
        assert time.monotonic() < deadline, f'not within 90 s: {what}'
        time.sleep(0.1)


def wait_until_driving(process: subprocess.Popen[str], out: Path) -> None:
    """Until the policy node is engaged and the recorder has put some of the drive on the disk."""

    def is_engaged() -> bool:
        log = out / 'log' / 'policy_node.log'
        return log.exists() and 'AUTONOMOUS: engaged' in log.read_text()

    def size() -> int:
        return sum(file.stat().st_size for file in out.glob('recording/*/*.mcap'))

    wait_until(is_engaged, process, 'the policy drives')
    for _ in range(2):  # the first growth may be of what was received before
        before = size()
        wait_until(lambda before=before: size() > before, process, 'the recording grows')


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies that bear a busy machine; sensors that fail are the policy node's tests' matter."""
    for sensor in bundles.MAX_AGE:
        monkeypatch.setitem(bundles.MAX_AGE, sensor, 2.0)


@pytest.fixture
def crawler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy that hardly moves the car: it neither leaves the road nor finishes."""
    monkeypatch.setitem(bundles.COMMANDS, 'speed', CommandSpec('speed', 'm/s', 0.0, 0.02))
    return bundles.make_bundle(tmp_path / 'crawler')


def test_shipped_policy_finishes_a_lap_and_its_ticks_can_be_computed_again(tmp_path: Path) -> None:
    out, policy = tmp_path / 'out', find_bundle('track_cfc')
    with start(policy, out) as process:
        stdout, stderr = process.communicate(timeout=280)
    assert process.returncode == 0, (stdout, stderr)
    summary = json.loads((out / 'summary.json').read_text())
    assert (summary['policy'], summary['laps'], summary['off_track']) == ('track_cfc', 1, 0)
    assert 'class="verdict"' in (out / 'report.html').read_text()
    with BagReader(out / summary['recording']) as reader:
        assert_replayed_ticks_agree(policy, reader)
        shown = {topic for name in LAYOUTS for topic, _ in fields(name)}
        assert shown - {'/scan', '/goal_pose'} <= reader.topics.keys(), 'of config/layouts'


def test_car_that_leaves_the_road_is_a_failure_with_a_report(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    with start(bundles.make_bundle(tmp_path / 'blunderer'), out) as process:
        stdout, stderr = process.communicate(timeout=150)
    assert process.returncode == 1, (stdout, stderr)
    assert stderr.strip().splitlines()[-1].startswith('liquid-control: the car left the road')
    summary = json.loads((out / 'summary.json').read_text())
    expected = {
        *('policy', 'seed', 'laps', 'off_track', 'rate_hz', 'ticks', 'missed', 'recording'),
        *('lateness_ms', 'sense_to_act_ms', 'real_time_factor'),
    }
    assert expected <= set(summary)
    assert (summary['policy'], summary['seed'], summary['laps']) == ('blunderer', 101, 0)
    assert summary['off_track'] == 1
    assert summary['ticks'] > 10
    with BagReader(out / summary['recording']) as reader:
        assert reader.is_finished
        assert {'/camera/image_raw', '/imu/data', '/odom', '/cmd_vel'} <= set(reader.topics)
        assert '/policy_node/state' in reader.topics
    page = (out / 'report.html').read_text()
    assert str(out) not in page + (out / 'summary.json').read_text()
    assert 'class="verdict failed"' in page
    assert page.count('data:image/png;base64,') >= 5
    assert 'http://' not in page
    assert 'https://' not in page
    assert (out / 'trajectory.png').read_bytes().startswith(b'\x89PNG')


def assert_replayed_ticks_agree(policy: Path, reader: BagReader) -> None:
    """Offline, at the same ticks, the policy gives the commands that it gave live."""
    states = [message.value for message in reader.messages([STATE])]
    read = ImuSpec(rate=200.0, max_age=0.1).reader().take
    measured = {
        read('', message.to_cdr(), message.msgtype).value.tobytes()
        for message in reader.messages([IMU])
    }
    felt = [
        state.input_values[:6].astype(np.float32).tobytes()
        for state in states
        if len(state.command_raw)
    ]
    assert set(felt) <= measured, 'what the policy felt is in the recording, bit for bit'
    frames = (
        (message.stamp_ns, samples.image(reader, message)) for message in reader.messages([IMAGE])
    )
    again = list(replay_ticks(Policy.load(policy), states, {'image': frames}))
    assert len(again) > 200
    for state, command in again:
        np.testing.assert_allclose(command, state.command_raw, rtol=0, atol=1e-5)


def test_interrupted_drive_leaves_a_whole_recording_and_no_process(
    tmp_path: Path, crawler: Path
) -> None:
    out = tmp_path / 'out'
    with start(crawler, out) as process:
        wait_until_driving(process, out)
        children = children_of(process)
        assert len(children) == len(NODES)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=180)
    assert process.returncode == 130, stderr
    assert stderr.strip().splitlines()[-1] == 'liquid-control: interrupted'
    assert not [child for child in children if child.is_running()]
    with BagReader(next(out.glob('recording/episode_*'))) as reader:
        assert reader.is_finished
        modes = [message.value.mode for message in reader.messages(['/policy_node/mode'])]
    assert 1 in modes  # AUTONOMOUS
    assert modes[-1] == 0  # the car was brought to rest first


def test_killed_recorder_ends_the_drive_and_what_it_wrote_is_reported(
    tmp_path: Path, crawler: Path
) -> None:
    out = tmp_path / 'out'
    with start(crawler, out) as process:
        wait_until_driving(process, out)
        children = children_of(process)
        (recorder,) = [child for child in children if 'recorder.node' in ' '.join(child.cmdline())]
        recorder.kill()
        _, stderr = process.communicate(timeout=180)
    assert process.returncode == 1
    assert 'liquid-control: recorder_node ended with signal 9' in stderr.strip().splitlines()[-1]
    assert not [child for child in children if child.is_running()]
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['ticks'] > 3


def test_drive_into_a_domain_that_has_one_is_refused(tmp_path: Path) -> None:
    domain = domains.claim_domain()
    policy, out = bundles.make_bundle(tmp_path / 'policy'), tmp_path / 'out'

    def refusal() -> str:
        with start(policy, out, domain=domain) as process:
            _, stderr = process.communicate(timeout=60)
        assert process.returncode == 1
        assert not out.exists()
        return stderr.strip().splitlines()[-1]

    assert f'another drive runs in ROS domain {domain}: wait for its end' in refusal()

    # Nodes that were started some other way hold no lock.
    os.close(domains._held.pop(domain))
    use_default_profile()
    context = Context()
    rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    node = Node('policy_node', context=context)
    try:
        assert f'ROS domain {domain} has /policy_node already: end them' in refusal()
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_policy_that_fits_no_simulated_robot_is_refused_with_what_they_take(
    tmp_path: Path,
) -> None:
    policy = bundles.make_bundle(tmp_path / 'donkey', commands=('steering', 'throttle'))
    with start(policy, tmp_path / 'out') as process:
        _, stderr = process.communicate(timeout=150)
    assert process.returncode == 1
    line = stderr.strip().splitlines()[-1]
    assert 'no simulated robot takes steering, throttle; there are car: steering_angle' in line


def test_policy_of_another_robot_than_the_named_one_is_refused(tmp_path: Path) -> None:
    policy = bundles.make_bundle(tmp_path / 'mine')
    options = DriveOptions(str(policy), 101, 1, 0.0, tmp_path / 'out', robot='rover')
    with pytest.raises(ConfigError, match='--robot is rover, policy mine commands the car'):
        drive(options, Console())


def test_page_on_a_port_that_is_taken_is_refused_in_one_line() -> None:
    pytest.importorskip('nicegui', reason="pip install '.[view]'")
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        asked = (sys.executable, '-m', 'liquid_control.cli.main', 'drive', '--view')
        done = subprocess.run(
            [*asked, f'--port={port}'], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f'port {port}' in line
    assert 'choose another with --port' in line
