# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A drive of the simulated car as the recorder would have kept it, without ROS processes.

The simulator and its expert drive; the messages are those of the nodes.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from liquid_control.bags.writer import BagWriter
from liquid_control.rollout.expert import Expert
from liquid_control.sim.car import command as car_command
from liquid_control.sim.protocols import Sample
from liquid_control.sim.robots import simulate_car

PERIOD_NS = 50_000_000
START_NS = 2_000_000_000  # of the recording, in simulated time; the drive begins one second later
NEURONS = 24

AUTONOMOUS, DISENGAGED = 1, 0


def record_drive(
    path: Path,
    *,
    seed: int,
    seconds: float,
    steer_off_at: float = math.inf,
    missed: tuple[int, ...] = (),
) -> Path:
    """Record `seconds` of an expert drive, with one second of standing before and after.

    Args:
        steer_off_at: from when on the wheel is held hard to the left, s.
        missed: ticks of the drive that did not happen.
    """
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(NEURONS, 3))
    with BagWriter(path) as bag, simulate_car(seed) as simulator:
        bag.add_topic('/odom', 'nav_msgs/msg/Odometry')
        bag.add_topic('/camera/image_raw', 'sensor_msgs/msg/Image')
        bag.add_topic('/policy_node/state', 'liquid_control/msg/PolicyState')
        expert = Expert(simulator.world.track)
        standing = round(1e9 / PERIOD_NS)
        driving = round(seconds * 1e9 / PERIOD_NS)
        lost, image_ns = 0, 0
        command = car_command()
        for tick in range(driving + 2 * standing):
            drives = standing <= tick < standing + driving
            elapsed = (tick - standing) * PERIOD_NS / 1e9
            if not drives:
                command = car_command()
            elif elapsed >= steer_off_at:
                command = car_command(steering_angle=0.5, speed=1.5)
            else:
                command = expert.command(simulator.motion)
            for seen in simulator.step(command, PERIOD_NS):
                stamp_ns = START_NS + seen.stamp_ns
                if seen.sensor == 'odom':
                    bag.write_message('/odom', odometry(seen), stamp_ns)
                elif seen.sensor == 'image':
                    image_ns = stamp_ns
                    bag.write_message('/camera/image_raw', image(seen), stamp_ns)
            if tick - standing in missed:
                lost += 1
                continue
            now_ns = START_NS + simulator.time_ns
            values = list(command.values())
            noisy = [value + rng.normal(0, 0.02) for value in values]
            message = {
                'tick': tick,
                'missed': lost,
                'mode': AUTONOMOUS if drives else DISENGAGED,
                'policy': 'expert',
                'input_names': ['image'],
                'input_stamps': [{'sec': image_ns // 10**9, 'nanosec': image_ns % 10**9}],
                'input_ages': [(now_ns - image_ns) / 1e9],
                'input_widths': [0],
                'elapsed': PERIOD_NS / 1e9,
                'command_names': ['steering_angle', 'speed'],
                'command_raw': noisy,
                'command': values if drives else [],
                'limited_by': 'rate steering_angle' if drives and tick % 10 == 0 else '',
                'neurons': np.tanh(weights @ [5 * values[0], values[1], math.sin(elapsed)]),
                'lateness': abs(rng.normal(0, 2e-4)),
                'encoder_time': 4e-4,
                'core_time': 3e-5,
                'sense_to_act': (now_ns - image_ns) / 1e9 + 1e-3,
            }
            bag.write_message('/policy_node/state', message, now_ns)
    return path


def odometry(seen: Sample) -> dict[str, object]:
    """Values of a nav_msgs/Odometry."""
    motion = seen.value
    return {
        'pose': {
            'pose': {
                'position': {'x': motion.x, 'y': motion.y},
                'orientation': {'z': math.sin(motion.yaw / 2), 'w': math.cos(motion.yaw / 2)},
            }
        },
        'twist': {'twist': {'linear': {'x': motion.speed}, 'angular': {'z': motion.yaw_rate}}},
    }


def image(seen: Sample) -> dict[str, object]:
    """Values of a sensor_msgs/Image."""
    height, width, _ = seen.value.shape
    return {
        'height': height,
        'width': width,
        'encoding': 'rgb8',
        'step': 3 * width,
        'data': seen.value.reshape(-1),
    }
