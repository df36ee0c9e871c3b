# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A real recording over the real middleware: live commands are the ones that replay computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from liquid_control.msg import ControlMode, PolicyState
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import SetBool
from support.ros import Peer, running

from liquid_control.bags.reader import BagReader
from liquid_control.common.assets import find_bundle
from liquid_control.common.image import decode_compressed
from liquid_control.evaluate.replay.live_run import replay_ticks
from liquid_control.runtime.inference.policy import Policy

BAG = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'donkeycar_bag'
POLICY = find_bundle('donkeycar_cfc')
CAMERA = '/camera/image_raw/compressed'
FIRST, COUNT = 800, 200  # the held-out frames, ten seconds
# A busy machine may lose so many of them: a camera is best effort, and the newest frame counts.
LOST = 3

pytestmark = pytest.mark.skipif(not BAG.is_dir(), reason='the recordings are not here')


def test_frames_arrive_and_live_commands_are_those_of_the_replay(tmp_path: Path) -> None:
    peer = Peer()
    states: list[PolicyState] = peer.listen(PolicyState, 'policy_node/state', 1000)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    modes: list[ControlMode] = peer.listen(ControlMode, 'policy_node/mode', latched)
    player_ready = dict(bag=BAG, start=FIRST * 0.05, paused=True, wait_for=f"['{CAMERA}']")
    diagnostics: list[DiagnosticArray] = peer.listen(DiagnosticArray, '/diagnostics')
    try:
        with (
            running(
                'policy_node',
                tmp_path / 'policy.log',
                '-r',
                f'image_raw/compressed:={CAMERA}',
                autostart=True,
                use_sim_time=True,
                policy=POLICY,
                robot='donkeycar',
                image_transport='compressed',
            ) as node,
            running('player_node', tmp_path / 'player.log', **player_ready) as player,
        ):
            # While time stands still no state is sent that could tell that it would arrive.
            peer.wait(lambda: modes, 'the node is active and heard', process=node)
            request = SetBool.Request(data=False)
            peer.call(SetBool, 'player_node/pause', request)
            peer.wait(lambda: player.popen.poll() is not None, 'the end of the bag', process=node)
            # The time of the bag has ended, and with it the ticks.
            least = COUNT - LOST
            peer.wait(lambda: frames_of(diagnostics) >= least, 'the last frames', process=node)
            assert player.popen.poll() == 0, player.output
            assert frames_of(diagnostics) <= COUNT, 'no frame comes twice'
    finally:
        peer.close()
    seen = [stamp_ns(state) for state in states if len(state.command_raw)]
    frames = recorded_frames()
    assert len(set(seen)) > COUNT / 2, 'nearly every frame is acted on'
    assert set(seen) <= {stamp for stamp, _ in frames}
    first, last = states[0], states[-1]
    # A clock that stands still makes the node report without ticking.
    gaps = last.tick - first.tick + 1 - len({state.tick for state in states})
    assert gaps == last.missed - first.missed, 'every tick is told of, or counted as missed'
    late = 3 + LOST + gaps
    assert len(seen) == pytest.approx(COUNT, abs=late), 'commands come at the control rate'
    compared = 0
    for state, command in replay_ticks(Policy.load(POLICY), states, {'image': frames}):
        np.testing.assert_allclose(state.command_raw, command, rtol=0, atol=1e-5)
        compared += 1
    assert compared >= len(seen) - 2 * gaps - 1


def frames_of(diagnostics: list[DiagnosticArray]) -> int:
    values = diagnostics[-1].status[0].values if diagnostics else ()
    return next((int(each.value) for each in values if each.key == 'frames'), 0)


def stamp_ns(state: PolicyState) -> int:
    (stamp,) = state.input_stamps
    return stamp.sec * 10**9 + stamp.nanosec


def recorded_frames() -> list[tuple[int, np.ndarray]]:
    with BagReader(BAG) as bag:
        messages = list(bag.messages(topics=[CAMERA]))[FIRST:]
    return [(message.stamp_ns, decode_compressed(message.value.data)) for message in messages]
