# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The processes of benchmarks/rate.py: sensors, a bare loop, what a user would write, busy work.

Run by rate.py as `python rate_parts.py ROLE OPTIONS`; a measurement is printed as a line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import struct
import threading
import time
from typing import Any

import numpy as np
import psutil
from script import run_script


def show(**measured: Any) -> None:
    """Hand a measurement over, raw."""
    print(json.dumps(measured))


def source(options: argparse.Namespace) -> None:
    """A raw camera at 30 Hz and a 400 Hz IMU; messages are made once, only their stamps change."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.serialization import serialize_message
    from rclpy.signals import SignalHandlerOptions
    from sensor_msgs.msg import Image, Imu

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('source')
    camera = node.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
    imu = node.create_publisher(Imu, 'imu/data', qos_profile_sensor_data)
    pixels = np.random.default_rng(0).integers(
        0, 256, (options.height, options.width, 3), dtype=np.uint8
    )
    image = Image(height=options.height, width=options.width, encoding='rgb8')
    image.step = 3 * options.width
    image.data = pixels.tobytes()
    image_bytes = bytearray(serialize_message(image))
    sample = Imu()
    sample.linear_acceleration.z = 9.81
    imu_bytes = bytearray(serialize_message(sample))

    def send(publisher: Any, message: bytearray) -> int:
        stamp_ns = time.time_ns()
        struct.pack_into('<iI', message, 4, *divmod(stamp_ns, 10**9))
        publisher.publish(bytes(message))
        return stamp_ns

    count, start = 0, time.monotonic()
    with open(options.log, 'w', buffering=1) as log:
        while True:
            send(imu, imu_bytes)
            if count * 30 // 400 != (count - 1) * 30 // 400:
                log.write(f'{send(camera, image_bytes)}\n')
            count += 1
            time.sleep(max(0.0, start + count / 400 - time.monotonic()))


def bare(options: argparse.Namespace) -> None:
    """The floor: a loop that sleeps until absolute deadlines and does nothing."""
    from liquid_control.runtime.loop.rate import FixedRate, SteadyClock
    from liquid_control.runtime.loop.realtime import ask_for_short_slices

    if options.short_slices:
        ask_for_short_slices()
    rate, never = FixedRate(round(1e9 / options.rate), SteadyClock()), threading.Event()
    lateness, missed = [], 0
    for _ in range(10):
        rate.wait(never)
    cpu, end = time.process_time(), time.monotonic() + options.seconds
    while time.monotonic() < end:
        cycle = rate.wait(never)
        assert cycle is not None
        lateness.append(cycle.lateness_ns / 1e9)
        missed += cycle.skipped
    show(lateness=lateness, missed=missed, ticks=len(lateness), cpu=time.process_time() - cpu)


def receiver(options: argparse.Namespace) -> None:
    """What cannot be avoided: waiting for the camera's bytes and taking them, nothing else."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    from sensor_msgs.msg import Image

    from liquid_control.nodes.common.inbox import Inbox
    from liquid_control.nodes.policy.sensing import CAMERA_QOS

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    inbox = Inbox(rclpy.create_node('receiver'), Image, 'image_raw', CAMERA_QOS)
    delays: list[float] = []
    while inbox.receive(0.1) is None:
        pass
    settle_until = time.monotonic() + 0.5
    while time.monotonic() < settle_until:
        inbox.receive(0.1)
    cpu, began_ns, end = time.process_time(), time.time_ns(), time.monotonic() + options.seconds
    while time.monotonic() < end:
        message = inbox.receive(0.1)
        if message is not None:
            sec, nanosec = struct.unpack_from('<iI', message, 4)
            delays.append((time.time_ns() - sec * 10**9 - nanosec) / 1e9)
    show(
        delivery=delays,
        frames=len(delays),
        window=[began_ns, time.time_ns()],
        cpu=time.process_time() - cpu,
    )


def peer(options: argparse.Namespace) -> None:
    """What a user would write: one node, typed callbacks, a timer that steps an ncps model."""
    import cv2
    import rclpy
    import torch
    from geometry_msgs.msg import TwistStamped
    from ncps.torch import LTC, CfC
    from ncps.wirings import AutoNCP
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.signals import SignalHandlerOptions
    from sensor_msgs.msg import Image, Imu

    torch.set_num_threads(1)

    class PeerNode(Node):
        def __init__(self) -> None:
            super().__init__('peer')
            channels = (3, 16, 24, 32, 48)
            layers: list[torch.nn.Module] = []
            for before, after in itertools.pairwise(channels):
                layers += [torch.nn.Conv2d(before, after, 3, 2, 1), torch.nn.ReLU()]
            head = [torch.nn.Flatten(), torch.nn.Linear(48 * 3 * 6, 32)]
            self.encoder = torch.nn.Sequential(*layers, *head)
            kind = LTC if options.cell == 'ltc' else CfC
            self.core = kind(38, AutoNCP(options.neurons, 2))
            self.features, self.imu, self.state = torch.zeros(1, 32), torch.zeros(1, 6), None
            self.image_stamp, self.acted_on, self.ticks = 0, 0, 0
            self.frames = 0
            self.lateness: list[float] = []
            self.acted: list[tuple[int, int]] = []
            self.publisher = self.create_publisher(TwistStamped, 'cmd_vel', 1)
            self.create_subscription(Image, 'image_raw', self.on_image, qos_profile_sensor_data)
            self.create_subscription(Imu, 'imu/data', self.on_imu, qos_profile_sensor_data)
            self.timer = self.create_timer(1 / options.rate, self.on_timer)

        def on_image(self, message: Image) -> None:
            self.frames += 1
            rgb = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
            small = cv2.resize(rgb[message.height // 3 :], (96, 48), interpolation=cv2.INTER_AREA)
            with torch.no_grad():
                pixels = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
                self.features = self.encoder(pixels)
            stamp = message.header.stamp
            self.image_stamp = stamp.sec * 10**9 + stamp.nanosec

        def on_imu(self, message: Imu) -> None:
            a, g = message.linear_acceleration, message.angular_velocity
            self.imu = torch.tensor([[a.x, a.y, a.z, g.x, g.y, g.z]])

        def on_timer(self) -> None:
            self.ticks += 1
            # By now the timer counts down to its next call.
            late_ns = self.timer.timer_period_ns - self.timer.time_until_next_call()
            self.lateness.append(late_ns / 1e9)
            with torch.no_grad():
                inputs = torch.cat([self.features, self.imu], 1)[:, None]
                command, self.state = self.core(inputs, self.state)
            message = TwistStamped()
            stamp_ns = time.time_ns()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            message.twist.linear.x = float(command[0, 0, 0])
            message.twist.angular.z = float(command[0, 0, 1])
            self.publisher.publish(message)
            if self.image_stamp != self.acted_on:
                self.acted_on = self.image_stamp
                self.acted.append((stamp_ns, self.image_stamp))

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = PeerNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    settle_until = time.monotonic() + 2
    while time.monotonic() < settle_until or not node.frames:
        executor.spin_once(timeout_sec=0.1)
    node.lateness.clear()
    node.acted.clear()
    ticks, frames, cpu = node.ticks, node.frames, time.process_time()
    began, began_ns = time.monotonic(), time.time_ns()
    while time.monotonic() < began + options.seconds:
        executor.spin_once(timeout_sec=0.1)
    ticks = node.ticks - ticks
    due = int((time.monotonic() - began) * options.rate)
    show(
        lateness=node.lateness,
        missed=max(due - ticks, 0),
        ticks=ticks,
        cpu=time.process_time() - cpu,
        acted=node.acted,
        frames=node.frames - frames,
        window=[began_ns, time.time_ns()],
        rss=psutil.Process().memory_info().rss,
    )
    executor.shutdown()


def busy(options: argparse.Namespace) -> None:
    """A process that wants a whole core."""
    value = 1.0
    while True:
        value = value * 1.0000001 % 7.0


def main() -> None:
    """Run one role until its time is over or it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    roles = {role.__name__: role for role in (source, bare, receiver, peer, busy)}
    parser.add_argument('role', choices=roles)
    parser.add_argument('--rate', type=float, default=100.0)
    parser.add_argument('--seconds', type=float, default=5.0)
    parser.add_argument('--width', type=int, default=640)
    parser.add_argument('--height', type=int, default=480)
    parser.add_argument('--log', default=os.devnull, help='where the stamps of sent frames go')
    parser.add_argument('--short-slices', action='store_true', help='bare: as our node asks for')
    parser.add_argument('--cell', default='cfc')
    parser.add_argument('--neurons', type=int, default=32)
    options = parser.parse_args()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: exit(0))
    roles[options.role](options)


if __name__ == '__main__':
    run_script(main)
