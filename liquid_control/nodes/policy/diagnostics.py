# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics of the policy node: mode, rate, lateness, stage times, once a second."""

from __future__ import annotations

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from liquid_control.contract.modes import Mode
from liquid_control.nodes.policy.cameras import Cameras
from liquid_control.nodes.policy.commands import CommandPort
from liquid_control.nodes.policy.parameters import PolicyParameters
from liquid_control.nodes.policy.shadow import ShadowThread
from liquid_control.runtime.control.controller import Controller
from liquid_control.runtime.loop.timing import LoopTiming, summarise

PERIOD = 1.0  # s


class Diagnostics:
    """Publishes one status; the thresholds come from the parameters."""

    def __init__(
        self,
        node: Node,
        parameters: PolicyParameters,
        timing: LoopTiming,
        controller: Controller,
        commands: CommandPort,
        cameras: Callable[[], Cameras | None],
        shadow: ShadowThread,
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._timing = timing
        self._controller = controller
        self._commands = commands
        self._cameras = cameras
        self._shadow = shadow
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Wall time: a simulation that stands still must not hide what is wrong.
        self._timer = node.create_timer(
            PERIOD, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def close(self) -> None:
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _publish(self) -> None:
        message = DiagnosticArray(status=[self._status()])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _status(self) -> DiagnosticStatus:
        timing, controller = self._timing, self._controller
        timing.renew()
        values = {
            'mode': controller.mode.name,
            'reason': controller.reason,
            'policy': controller.runner.policy.contract.name,
            'provider': controller.runner.policy.backend.provider,
            'rate_hz': f'{timing.rate:.2f}',
            'ticks': str(timing.ticks),
            'missed': str(timing.missed),
        }
        if controller.offboard.needed:
            values['offboard'] = controller.offboard.waits or 'armed and in offboard'
        cameras = self._cameras()
        if cameras:
            values['frames'] = str(cameras.arrived)
            values['frames_replaced'] = str(cameras.replaced)
        for name in ('lateness', 'core', 'encoder', 'sense_to_act'):
            summary = summarise(list(getattr(timing, name)))
            for what in ('p50', 'p99', 'max'):
                values[f'{name}_{what}_ms'] = f'{1e3 * getattr(summary, what):.3f}'
        level, text = self._judge()
        return DiagnosticStatus(
            level=level,
            name=f'{self._node.get_name()}: control',
            message=text,
            hardware_id=controller.robot.name,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )

    def _judge(self) -> tuple[bytes, str]:
        timing, controller, limits = self._timing, self._controller, self._parameters
        if controller.mode is Mode.SAFE_STOP:
            return DiagnosticStatus.ERROR, f'safe stop: {controller.reason}'
        if controller.mode is not Mode.DISENGAGED and (waits := controller.offboard.waits):
            return DiagnosticStatus.WARN, f'{controller.mode.name.lower()}, but {waits}'
        missed = timing.missed / max(timing.ticks + timing.missed, 1)
        if missed > limits.error_missed:
            return DiagnosticStatus.ERROR, f'{missed:.1%} of the cycles missed'
        if self._commands.rivals > 0:
            return DiagnosticStatus.ERROR, 'another node publishes on the command topic'
        stuck = self._shadow.stuck
        if stuck is not None:
            return DiagnosticStatus.WARN, f'the shadow policy {stuck.name} does not answer'
        if missed > limits.warn_missed:
            return DiagnosticStatus.WARN, f'{missed:.1%} of the cycles missed'
        lateness = timing.late.p99
        if lateness > limits.warn_lateness / controller.runner.policy.contract.control_rate:
            return DiagnosticStatus.WARN, f'ticks up to {1e3 * lateness:.1f} ms late (p99)'
        if controller.mode is Mode.AUTONOMOUS and self._commands.listeners == 0:
            return DiagnosticStatus.WARN, 'nobody listens to the command'
        return DiagnosticStatus.OK, controller.mode.name.lower()
