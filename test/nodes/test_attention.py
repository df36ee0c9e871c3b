# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the policy looks at, told over DDS by a running node."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from liquid_control.msg import ControlMode
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from support import exports
from support.bundles import make_bundle
from support.robots import driven

from liquid_control.common.assets import find_bundle
from liquid_control.contract.bundle import load_bundle
from liquid_control.runtime.inference.attention import Attention

CAMERA = replace(exports.IMAGE, source_width=160, source_height=120, crop=(0, 40, 160, 80))

# A node whose attention never returns from a bright frame.
HANGING = """
import time
from liquid_control.nodes.policy import node
from liquid_control.runtime.inference.attention import Attention

look = Attention.look

def hang(self, pixels):
    if pixels.mean() > 200:
        print('attention hangs', flush=True)
        time.sleep(1000)
    return look(self, pixels)

Attention.look = hang
node.main()
"""


def test_attention_is_the_mask_of_the_frame_and_swaps_with_the_policy(tmp_path: Path) -> None:
    path = find_bundle('track_cfc')
    with driven(tmp_path / 'log', path, attention_rate=20.0) as robot:
        images = robot.peer.listen(Image, 'policy_node/attention', qos_profile_sensor_data)
        robot.engaged()
        image = robot.wait(lambda: images and images[-1], 'an image')
        assert (image.height, image.width, image.encoding) == (120, 160, 'rgb8')
        shown = np.frombuffer(image.data, np.uint8).reshape(120, 160, 3).astype(int)
        told = shown.max(axis=2) - shown.min(axis=2)
        camera = np.frombuffer(robot.sensors.image.data, np.uint8).reshape(120, 160, 3)
        attention = Attention(load_bundle(path), 'image')
        expected = 255 * attention.look(attention.preprocess(camera))
        assert told[:40].max() == 0, 'the policy sees nothing of the sky'
        # The mask is interpolated over the crop, which is 5/3 as wide.
        assert np.corrcoef(told[40::5, ::5].ravel(), expected[::3, ::3].ravel())[0, 1] > 0.97
        assert image.header.stamp.sec, 'of the frame'

        blind = make_bundle(tmp_path / 'blind')
        assert robot.set_policy(blind).successful
        robot.wait(lambda: 'no convolution with a ReLU' in robot.process.output, 'the reason')


def test_each_camera_has_a_topic_of_its_own(tmp_path: Path) -> None:
    inputs = {'image': CAMERA, 'rear': CAMERA, 'imu': exports.INPUTS['imu']}
    steps = exports.make_steps()
    steps = replace(steps, inputs={**steps.inputs, 'rear': steps.inputs['image']})
    exports.write(tmp_path / 'two', exports.make_network(inputs=inputs), steps=steps)
    with driven(tmp_path / 'log', tmp_path / 'two', attention_rate=20.0) as robot:
        behind = Image(height=120, width=160, encoding='rgb8', step=480)
        behind.data = bytes([100]) * 57600
        sender = robot.peer.node.create_publisher(Image, 'rear/image_raw', qos_profile_sensor_data)
        topics = 'policy_node/attention', 'policy_node/attention/rear'
        ahead, rear = (robot.peer.listen(Image, each, qos_profile_sensor_data) for each in topics)

        def shown() -> bool:
            behind.header.stamp = robot.peer.node.get_clock().now().to_msg()
            sender.publish(behind)
            return bool(ahead and rear)

        robot.wait(shown, 'both')
        # Above what the policy sees they are the frames as they came, in a darker grey.
        assert set(rear[-1].data[:480]) == {70}
        assert len(set(ahead[-1].data[:480])) > 20


def test_attention_that_never_returns_costs_the_drive_nothing(tmp_path: Path) -> None:
    stuck = tmp_path / 'stuck_node.py'
    stuck.write_text(HANGING)
    with driven(tmp_path / 'log', find_bundle('track_cfc'), stuck, attention_rate=20.0) as robot:
        images = robot.peer.listen(Image, 'policy_node/attention', qos_profile_sensor_data)
        robot.receives()
        assert robot.engage().success
        robot.wait(lambda: images, 'an image')
        robot.sensors.image.data = bytes([255]) * 57600
        robot.wait(lambda: 'attention hangs' in robot.process.output, 'a bright frame')
        robot.states.clear()
        robot.wait(lambda: len(robot.states) > 40, 'two seconds of driving')
        # A starved machine may let a sensor grow old; nothing else may stop it.
        stops = [each.reason for each in robot.modes if each.mode == ControlMode.SAFE_STOP]
        assert all(' old' in reason for reason in stops), stops
        assert any(len(each.command_raw) for each in robot.states), 'the policy sees'
        began = time.monotonic()
        robot.process.end()
        assert time.monotonic() - began < 10, 'it ends'
    assert 'the attention thread is stuck' in robot.process.output
