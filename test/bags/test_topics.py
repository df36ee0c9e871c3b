# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Guessing which topic is the camera, the IMU, the odometry and the command."""

from __future__ import annotations

import pytest

from liquid_control.bags.errors import TopicError
from liquid_control.bags.input_topics import find_source
from liquid_control.bags.topics import find_topic, infer_takeover
from liquid_control.contract.inputs import KINDS

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
TWIST = 'geometry_msgs/msg/TwistStamped'


def found(topics: dict[str, str], kind: str, **named: str) -> str | None:
    """The topic of an input named by its kind; `command` is no input."""
    if kind == 'command':
        return find_topic(topics, kind, named.get(kind))
    *_, source = KINDS[kind].usual_sources(kind)
    return find_source(topics, kind, source, named)


def test_topics_are_found_by_type() -> None:
    topics = {
        '/front': IMAGE,
        '/imu': 'sensor_msgs/msg/Imu',
        '/odometry': 'nav_msgs/msg/Odometry',
        '/drive': 'ackermann_msgs/msg/AckermannDriveStamped',
        '/rosout': 'rcl_interfaces/msg/Log',
    }
    kinds = {'image': '/front', 'imu': '/imu', 'speed': '/odometry', 'command': '/drive'}
    for kind, topic in kinds.items():
        assert found(topics, kind) == topic
        assert found({}, kind) is None


def test_raw_images_are_preferred_to_the_same_images_compressed() -> None:
    topics = {'/camera/image_raw': IMAGE, '/camera/image_raw/compressed': COMPRESSED}
    assert found(topics, 'image') == '/camera/image_raw'
    assert found({'/image/compressed': COMPRESSED}, 'image') == '/image/compressed'


def test_a_persons_override_is_not_the_command_unless_named() -> None:
    topics = {'/cmd_vel': TWIST, '/cmd_vel_override': TWIST}
    assert found(topics, 'command') == '/cmd_vel'
    assert found(topics, 'command', command='/cmd_vel_override') == '/cmd_vel_override'


def test_ambiguous_topics_are_named_and_a_choice_is_taken() -> None:
    topics = {'/left': IMAGE, '/right': IMAGE}
    with pytest.raises(TopicError, match='several topics could be the image: /left, /right'):
        found(topics, 'image')
    assert found(topics, 'image', image='/right') == '/right'


def test_of_several_the_one_called_as_on_the_robot_is_it() -> None:
    topics = dict.fromkeys(('/a/image_raw', '/b/image', '/c/image_color'), IMAGE)
    assert found(topics, 'image') == '/a/image_raw'
    topics = dict.fromkeys(('/points', '/robot/scan'), 'sensor_msgs/msg/LaserScan')
    assert found(topics, 'scan') == '/robot/scan'


def test_odometry_can_stand_for_commands_only_where_named() -> None:
    topics = {'/odom': 'nav_msgs/msg/Odometry'}
    assert found(topics, 'command') is None
    assert found(topics, 'command', command='/odom') == '/odom'


def test_a_choice_that_cannot_be_is_refused() -> None:
    topics = {'/imu': 'sensor_msgs/msg/Imu', '/left': IMAGE}
    with pytest.raises(TopicError, match=r'/imu cannot be the topic of image.*it is sensor_msgs'):
        found(topics, 'image', image='/imu')
    with pytest.raises(TopicError, match=r'no such topic with messages; possible: /left'):
        found(topics, 'image', image='/lft')


def test_who_drove_and_a_person_s_commands_are_found_by_type_and_name() -> None:
    twist, mode = 'geometry_msgs/msg/TwistStamped', 'liquid_control/msg/ControlMode'
    topics = {'/cmd_vel': twist, '/cmd_vel_override': twist, '/policy_node/mode': mode}
    assert infer_takeover(topics) == ('/policy_node/mode', '/cmd_vel_override')
    assert infer_takeover({'/cmd_vel': twist}) == (None, None)
    assert infer_takeover(topics, override='/cmd_vel')[1] == '/cmd_vel'
    with pytest.raises(TopicError, match='several topics could be the mode: /a/mode, /b/mode'):
        infer_takeover({'/a/mode': mode, '/b/mode': mode})


CAMERA = '/camera/image_raw'


def test_of_all_forms_of_one_image_the_plain_one_is_the_camera() -> None:
    transports = ('compressed', 'compressedDepth', 'zstd', 'theora')
    topics = {CAMERA: IMAGE, **{f'{CAMERA}/{form}': COMPRESSED for form in transports}}
    assert found(topics, 'image') == CAMERA
    del topics[CAMERA]
    assert found(topics, 'image') == f'{CAMERA}/compressed'
    del topics[f'{CAMERA}/compressed']
    assert found(topics, 'image') is None


def test_depth_and_infrared_beside_colour_are_not_the_camera() -> None:
    topics = {'/camera/color/image_raw': IMAGE}
    for beside in ('depth/image_rect_raw', 'aligned_depth_to_color/image_raw', 'infra1/image'):
        topics[f'/camera/{beside}'] = IMAGE
    topics['/camera/depth/image_rect_raw/compressedDepth'] = COMPRESSED
    assert found(topics, 'image') == '/camera/color/image_raw'
    del topics['/camera/color/image_raw']
    with pytest.raises(
        TopicError, match=r'several .* image: .*infra1.*name one with --topic image=TOPIC'
    ):
        found(topics, 'image')


def test_a_doubt_about_the_command_is_told() -> None:
    topics = {'/a': TWIST, '/b': TWIST}
    with pytest.raises(TopicError, match='could be the command: /a, /b; name one with --topic'):
        found(topics, 'command')
