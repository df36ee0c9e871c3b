# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the robot says, as the page shows it: the newest message of every topic, as plain values.

Topics are looked at when a page is to be renewed, not when messages come: what the view costs does
not grow with the control rate. They are subscribed only while somebody watches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from liquid_control.msg import ControlMode, PolicyComparison, PolicyState, RecorderStatus
from liquid_control.nodes.common.inbox import OwnThread
from liquid_control.nodes.view.facts import Facts, part

MODES = ('DISENGAGED', 'AUTONOMOUS', 'MANUAL', 'SAFE_STOP')
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_MAX_NEURONS = 512  # shown; a page is no place for more
_MAX_VALUES, _SHOWN = 256, 8  # of an input: sent, and written out on the page
_MAX_QUEUE = 20
# A shadow that has not been compared for so long is no longer there, s.
_SHADOW_LASTS = 3.0


class Newest:
    """The newest message of a topic that no executor serves."""

    def __init__(self, node: Node, kind: Any, topic: str, qos: QoSProfile) -> None:
        self._node, self._kind = node, kind
        self._subscription = node.create_subscription(
            kind, topic, lambda message: None, qos, callback_group=OwnThread()
        )
        self.message: Any = None
        self.heard = -math.inf
        """When it came, monotonic, s."""

    def look(self, now: float) -> None:
        """Take what has come."""
        handle = self._subscription.handle
        with handle:
            for _ in range(_MAX_QUEUE):
                taken = handle.take_message(self._kind, False)
                if taken is None:
                    break
                self.message, self.heard = taken[0], now

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)


class Watch:
    """The robot at a glance."""

    def __init__(self, node: Node, policy_node: str, recorder_node: str) -> None:
        """Subscribe."""
        self._topics = {
            'mode': Newest(node, ControlMode, f'{policy_node}/mode', _LATCHED),
            'state': Newest(node, PolicyState, f'{policy_node}/state', _NEWEST),
            'shadow': Newest(node, PolicyComparison, f'{policy_node}/shadow', _NEWEST),
            'recorder': Newest(node, RecorderStatus, f'{recorder_node}/status', _LATCHED),
            'teach': Newest(node, DiagnosticArray, 'teach/status', _LATCHED),
        }

    def close(self) -> None:
        """Unsubscribe."""
        for topic in self._topics.values():
            topic.close()

    def look(self) -> None:
        """Take what has come."""
        now = time.monotonic()
        for topic in self._topics.values():
            topic.look(now)

    @property
    def mode(self) -> int:
        """As in msg/ControlMode; DISENGAGED before it is known."""
        message = self._topics['mode'].message
        return int(message.mode) if message is not None else int(ControlMode.DISENGAGED)

    @property
    def sent(self) -> dict[str, float]:
        """The newest command that the robot was sent, by name; empty where nothing is sent."""
        state = self._topics['state'].message
        if state is None:
            return {}
        return dict(zip(state.command_names, state.command, strict=False))

    @property
    def policy_hash(self) -> str:
        """Digest of the policy in charge; '' before it is known."""
        message = self._topics['mode'].message
        return str(message.policy_hash) if message is not None else ''

    def snapshot(self, facts: Facts) -> dict[str, Any]:
        """Everything that is known, as JSON can hold it; ages and times in s, None: not known."""
        now = time.monotonic()
        return {
            **self._mode(now, facts),
            **self._tick(now, facts),
            'shadow': self._shadow(now, facts),
            'recorder': self._recorder(now),
            'teach': self._teach(),
        }

    def _mode(self, now: float, facts: Facts) -> dict[str, Any]:
        topic = self._topics['mode']
        message = topic.message
        if message is None:
            return {'mode': None, 'modeName': '', 'reason': 'no policy node has been heard of'}
        return {
            'mode': message.mode,
            'modeName': MODES[message.mode] if message.mode < len(MODES) else str(message.mode),
            'reason': message.reason,
            'silent': _number(now - topic.heard),
            'policy': message.policy,
            'hash': message.policy_hash[:8],
            'named': facts.policy,
            'fallback': facts.fallback,
            'robot': facts.robot,
            'problem': facts.problem,
            'overrideTimeout': facts.override_timeout,
        }

    def _tick(self, now: float, facts: Facts) -> dict[str, Any]:
        topic = self._topics['state']
        state = topic.message
        if state is None:
            return {'commands': _commands((), (), (), facts), 'sensors': [], 'neurons': []}
        waited = now - topic.heard
        return {
            'commands': _commands(state.command_names, state.command_raw, state.command, facts),
            'limitedBy': state.limited_by,
            'sensors': _sensors(state, waited, facts),
            'neurons': _numbers(state.neurons[:_MAX_NEURONS]),
            'stale': _number(waited),
            'rate': _number(state.rate),
            'wantedRate': facts.control_rate,
            'missed': state.missed,
            'lateness': _numbers((state.lateness_p50, state.lateness_p99, state.lateness_max)),
            'encoderTime': _number(state.encoder_time),
            'coreTime': _number(state.core_time),
            'senseToAct': _number(state.sense_to_act),
        }

    def _shadow(self, now: float, facts: Facts) -> dict[str, Any] | None:
        topic = self._topics['shadow']
        message = topic.message
        if message is None or now - topic.heard > _SHADOW_LASTS:
            return {'policy': facts.shadow, 'fault': '', 'commands': []} if facts.shadow else None
        commands = _numbers(message.shadow_command)
        differences = _numbers(message.mean_abs_difference)
        return {
            'policy': message.shadow,
            'fault': message.fault,
            'commands': [
                {'name': name, 'raw': _at(commands, i), 'difference': _at(differences, i)}
                for i, name in enumerate(message.command_names)
            ],
        }

    def _recorder(self, now: float) -> dict[str, Any] | None:
        topic = self._topics['recorder']
        message = topic.message
        if message is None:
            return None
        return {
            'recording': message.recording,
            'episode': PurePath(message.episode).name,
            'duration': _number(message.duration),
            'bytes': message.bytes_written,
            'byteRate': _number(message.byte_rate),
            'queued': message.queued,
            'free': message.disk_free,
            'dropped': sum(message.dropped),
            'problem': message.problem,
            'silent': _number(now - topic.heard),
        }

    def _teach(self) -> dict[str, str] | None:
        message = self._topics['teach'].message
        if message is None or not message.status:
            return None
        status = message.status[0]
        return {'text': status.message, **{each.key: each.value for each in status.values}}


def _commands(
    names: Iterable[str], raw: Iterable[float], sent: Iterable[float], facts: Facts
) -> list[dict[str, Any]]:
    """Of the policy in charge; before its first tick those of its contract."""
    axes = {axis.name: axis for axis in facts.axes}
    raws, sents = _numbers(raw), _numbers(sent)
    found = []
    for i, name in enumerate(names or axes):
        axis = axes.get(name)
        low, high = facts.ranges.get(name, (None, None))
        found.append(
            {
                'name': name,
                'unit': axis.unit if axis else '',
                'raw': _at(raws, i),
                'sent': _at(sents, i),
                'min': low,
                'max': high,
                'low': axis.low if axis else None,
                'high': axis.high if axis else None,
                'part': part(name),
                'place': axis.place if axis else False,
            }
        )
    return found


def _sensors(state: PolicyState, waited: float, facts: Facts) -> list[dict[str, Any]]:
    """Whatever the policy sees; the values of an image are the camera's matter."""
    found, begin = [], 0
    widths = zip(state.input_names, state.input_ages, state.input_widths, strict=True)
    for name, age, width in widths:
        values = state.input_values[begin : begin + width]
        begin += width
        spec = facts.inputs.get(name)
        found.append(
            {
                'name': name,
                'kind': spec.kind if spec is not None else '',
                'age': _number(age + waited),
                'maxAge': spec.max_age if spec is not None else None,
                'values': _numbers(values[:_MAX_VALUES]),
                'units': [each.unit for each in spec.elements()[:_SHOWN]] if spec else [],
            }
        )
    return found


def _at(values: list[float | None], index: int) -> float | None:
    return values[index] if index < len(values) else None


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: float) -> float | None:
    """What JSON can hold, no longer than people read."""
    return float(f'{value:.5g}') if math.isfinite(value) else None
