# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the policy looks at, told over DDS by a running node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from support.bundles import make_bundle
from support.robots import driven

from liquid_control.common.assets import find_bundle
from liquid_control.contract.bundle import load_bundle
from liquid_control.runtime.inference.attention import Attention


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
