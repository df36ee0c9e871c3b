# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The ROS side of a lesson: what is recorded, which policy is in charge, what is told.

What a lesson is at goes out on `teach/status`, which the page shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from liquid_control.evaluate.closed_loop.courses import Course
from liquid_control.evaluate.closed_loop.monitor import DriveMonitor
from liquid_control.evaluate.closed_loop.processes import Children, ProcessError

STATUS = 'teach/status'
_ANSWER = 10.0  # s
_LOADING = 60.0  # s; a policy is tried in a process of its own


class TeachMonitor(DriveMonitor):
    """Watches the car as a drive's monitor does, and has the nodes do what a lesson needs."""

    def __init__(self, children: Children, course: Course) -> None:
        super().__init__(children, course)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._status_out = self.create_publisher(DiagnosticArray, STATUS, latched)
        self._told: tuple[str, dict[str, str]] | None = None

    def tell(self, text: str, share: float = 0.0, **facts: str) -> None:
        """What a person should know or do now; `share` of it is done."""
        values = {'share': f'{share:.3f}', **facts}
        if self._told == (text, values):
            return
        self._told = (text, values)
        status = DiagnosticStatus(name='teach', message=text)
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._status_out.publish(message)

    def record(self) -> Path:
        """Begin an episode; returns where. Raises ProcessError."""
        return Path(self._ask('start_episode'))

    def stop_recording(self) -> None:
        """End the episode. Raises ProcessError."""
        self._ask('stop_episode')

    def discard_recording(self) -> None:
        """End the episode and forget it. Raises ProcessError."""
        self._ask('discard_episode')

    def use(self, policy: Path) -> None:
        """Put a policy in charge. Raises ProcessError where it is refused."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(policy))
        self._set('policy_node', Parameter(name='policy', value=value))

    def pace(self, factor: float) -> None:
        """Simulated seconds per second from now on. Raises ProcessError."""
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=factor)
        self._set('simulator_node', Parameter(name='real_time_factor', value=value))

    def _set(self, node: str, parameter: Parameter) -> None:
        client = self.create_client(SetParameters, f'/{node}/set_parameters')
        request = SetParameters.Request(parameters=[parameter])
        result: Any = self._call(client, request, _LOADING).results[0]
        self.destroy_client(client)
        if not result.successful:
            raise ProcessError(f'{node} refused {parameter.name}: {result.reason}')

    def _ask(self, action: str) -> str:
        client = self.create_client(Trigger, f'/recorder_node/{action}')
        answer = self._call(client, Trigger.Request(), _ANSWER)
        self.destroy_client(client)
        if not answer.success:
            raise ProcessError(f'the recorder refused {action}: {answer.message}')
        return str(answer.message)
