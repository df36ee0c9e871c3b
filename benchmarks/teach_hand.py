# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A script for a hand: drives at the page's own socket, with keys as live.js takes them.

It lives in simulated time: as late and as quick however fast the simulation goes.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from liquid_control.common.stamps import ns_of
from liquid_control.evaluate.closed_loop.record import motion_of
from liquid_control.rollout.expert import Expert
from liquid_control.sim.car import MAX_STEERING_ANGLE
from liquid_control.sim.protocols import Motion
from liquid_control.sim.track import generate_track

PERIOD = 0.05  # s, of a page's commands
PRESS_TURN, PRESS_FORWARD = 2.0, 2.0  # shares a second, as live.js has them for keys
SLOWER_IN_BENDS = 0.3  # share of the speed at full turn, likewise
REACTION = 4  # periods from seeing to pressing
DECISION = 2  # periods for which a key stays as it is
SLOPPY = 0.1  # share of the steering that is not worth a key
_PATIENCE = 0.2  # s of wall time; a hand that is silent for longer has let go
WANDERING = 0.04  # of the line that the hand means to drive, per decision


class Keyboard:
    """Somebody who sees late, decides ten times a second, and has keys instead of a wheel.

    The line that it means to drive is the expert's, and it wanders.
    """

    def __init__(self, seed: int, top: float) -> None:
        """top: the page's top speed, share."""
        self._expert, self._top = Expert(generate_track(seed)), top
        self._seen: deque[Motion] = deque(maxlen=1 + REACTION)
        self._random = np.random.default_rng(1)
        self._periods = 0
        self._error = self._turn = self._forward = self._key = 0.0

    def shares(self, motion: Motion) -> dict[str, float]:
        """What the page sends for the keys that are held now."""
        self._seen.append(motion)
        if self._periods % DECISION == 0:
            self._key = self._decide(self._seen[0])
        self._periods += 1
        self._turn = _pressed(self._turn, self._key, PRESS_TURN)
        self._forward = _pressed(self._forward, 1.0, PRESS_FORWARD)
        slower = SLOWER_IN_BENDS * abs(self._turn)
        return {'steering_angle': self._turn, 'speed': self._top * self._forward * (1 - slower)}

    def let_go(self) -> None:
        """All keys."""
        self._turn = self._forward = self._key = 0.0

    def _decide(self, motion: Motion) -> float:
        self._error += float(self._random.normal(0, WANDERING)) - 0.1 * self._error
        angle = self._expert.command(motion)['steering_angle']
        wanted = angle / MAX_STEERING_ANGLE + self._error
        given = abs(self._turn) if wanted * self._turn > 0 else 0.0
        return float(np.sign(wanted)) if abs(wanted) - given > SLOPPY else 0.0


def _pressed(now: float, goal: float, rate: float) -> float:
    """A pedal or wheel one period later; it goes back twice as fast."""
    step = rate * PERIOD * (2 if abs(goal) < abs(now) else 1)
    return now + max(-step, min(step, goal - now))


class Hand:
    """Does what the page asks for, as long as there is a page; connects again, as a page does."""

    def __init__(self, port: int, keyboard: Keyboard) -> None:
        self._root, self._keyboard = f'127.0.0.1:{port}', keyboard
        self._motion: Motion | None = None
        self._now_ns = self._acted_ns = 0
        self._state: dict[str, Any] = {}
        self._got = 0.0
        """When that came, s."""
        self._asked = ''
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node('hand')
        self._node.create_subscription(Odometry, 'odom', self._look, qos_profile_sensor_data)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def drive(self, over: Callable[[str], bool]) -> None:
        """Until `over`, which is told what the page asks for."""
        while not over(self._asked):
            time.sleep(4 * PERIOD)
            with contextlib.suppress(OSError, WebSocketException):
                address, origin = f'ws://{self._root}/live', f'http://{self._root}'
                with connect(address, origin=origin, ping_interval=None) as socket:
                    reader = threading.Thread(target=self._read, args=(socket,))
                    reader.start()
                    try:
                        self._act(socket, reader, over)
                    finally:
                        socket.close()
                        reader.join()

    def _act(
        self, socket: ClientConnection, reader: threading.Thread, over: Callable[[str], bool]
    ) -> None:
        held = False
        while reader.is_alive() and not over(self._asked):
            self._wait()
            asked = self._asked = (self._state.get('teach') or {}).get('text', '')
            if 'by hand' in asked and self._motion is not None:
                held = True
                shares = self._keyboard.shares(self._motion)
                had = time.monotonic() - self._got
                _send(socket, n=self._state['n'], had=had, hand=shares)
            elif held:
                held = False
                self._keyboard.let_go()
                _send(socket, hand=None)
            elif 'press space' in asked and self._state['mode'] in (0, 3):
                _send(socket, do='space', shown=self._state['mode'])
                for _ in range(20):
                    self._wait()

    def _wait(self) -> None:
        """For a period of simulated time; a while where time stands still."""
        end = time.monotonic() + _PATIENCE
        due_ns = self._acted_ns + round(PERIOD * 1e9)
        while self._now_ns < due_ns and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)
        self._acted_ns = max(due_ns, self._now_ns - round(PERIOD * 1e9))

    def _read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException):
            for message in socket:
                if isinstance(message, bytes):
                    _send(socket, f=int.from_bytes(message[:4], 'little'))
                    continue
                values = json.loads(message)
                if 'n' in values:
                    self._state, self._got = values, time.monotonic()
                    _send(socket, n=values['n'])

    def _look(self, message: Odometry) -> None:
        self._motion, self._now_ns = motion_of(message), ns_of(message.header.stamp)


def _send(socket: ClientConnection, **values: Any) -> None:
    socket.send(json.dumps(values))
