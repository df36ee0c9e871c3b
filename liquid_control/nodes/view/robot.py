# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The robot as the view knows it: what it says, what it can be told, its camera."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from rclpy.node import Node

from liquid_control.contract.inputs.image import COMPRESSED, RAW
from liquid_control.msg import ControlMode
from liquid_control.nodes.common.topics import attention_topic
from liquid_control.nodes.view.camera import CameraView
from liquid_control.nodes.view.desk import Desk
from liquid_control.nodes.view.facts import Facts
from liquid_control.nodes.view.overrides import Overrides
from liquid_control.nodes.view.parameters import ViewParameters
from liquid_control.nodes.view.watch import Watch

_ASK_EVERY = 3.0  # s; parameters may be set by others, too
_REST_AFTER = 10.0  # s without a viewer
# Before it is known what the policy sees.
_ANY_CAMERA = {'image': {RAW: 'image_raw', COMPRESSED: 'image_raw/compressed'}}


class RobotView:
    """Subscribes while somebody watches, and asks how the policy node is set up."""

    def __init__(self, node: Node, parameters: ViewParameters) -> None:
        self._node = node
        self._parameters = parameters
        self._watch: Watch | None = None
        self._watched_at = -math.inf
        self._asked_at = -math.inf
        self._asked_for = ''
        self._asking: asyncio.Task[None] | None = None
        self._cameras: dict[str, CameraView] = {}
        self._type = COMPRESSED if parameters.image_transport == 'compressed' else RAW
        self.desk = Desk(node, parameters.policy_node, parameters.recorder_node)
        self.overrides = Overrides(node)
        self.facts = Facts()

    @property
    def driving(self) -> bool:
        """Whether the policy or a person commands the robot."""
        driven = (ControlMode.AUTONOMOUS, ControlMode.MANUAL)
        return self._watch is not None and self._watch.mode in driven

    @property
    def sent(self) -> dict[str, float]:
        """The newest command that the robot was sent, by name."""
        return self._watch.sent if self._watch is not None else {}

    def attend(self, watched: bool, now: float) -> None:
        """Look at what has come, where somebody watches; `now`: monotonic, s."""
        if watched:
            self._watched_at = now
        elif now - self._watched_at > _REST_AFTER:
            self._rest()
            return
        if self._watch is None:
            if not watched:
                return
            self._begin()
        assert self._watch is not None
        self._watch.look()
        changed = self._watch.policy_hash != self._asked_for
        idle = self._asking is None or self._asking.done()
        if idle and (now - self._asked_at > _ASK_EVERY or changed):
            self._asked_at, self._asked_for = now, self._watch.policy_hash
            self._asking = asyncio.create_task(self._ask())

    def snapshot(self) -> dict[str, Any]:
        """See `Watch.snapshot`."""
        assert self._watch is not None
        snapshot = self._watch.snapshot(self.facts)
        snapshot['topSpeed'] = self._parameters.top_speed
        snapshot['cameras'] = list(self._known_cameras)
        problems = [camera.problem for camera in self._cameras.values() if camera.problem]
        snapshot['camera'] = problems[0] if problems else ''
        snapshot['attention'] = any(camera.has_attention for camera in self._cameras.values())
        return snapshot

    def camera(self, name: str) -> CameraView | None:
        """A camera that the policy sees, by name, else the first; None where there is none."""
        known = self._known_cameras
        if self._watch is None or not known:
            return None
        name = name if name in known else next(iter(known))
        if name not in self._cameras:
            attention = attention_topic(self._parameters.policy_node, name, known)
            self._cameras[name] = CameraView(
                self._node, known[name][self._type], self._type, attention
            )
        return self._cameras[name]

    @property
    def _known_cameras(self) -> dict[str, dict[str, str]]:
        return self.facts.cameras if self.facts.inputs else _ANY_CAMERA

    def close(self) -> None:
        """Give everything back."""
        self._rest()
        self.overrides.close()
        self.desk.close()

    def _begin(self) -> None:
        parameters = self._parameters
        self._watch = Watch(self._node, parameters.policy_node, parameters.recorder_node)

    def _rest(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()

    async def _ask(self) -> None:
        facts = await self.desk.facts()
        if facts is not None:
            self.facts = facts
            self.overrides.follow(facts)
