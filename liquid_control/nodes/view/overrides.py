# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A person's commands on `cmd_vel_override`, in the form that the policy node takes."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from liquid_control.common.errors import ConfigError
from liquid_control.common.stamps import NS
from liquid_control.contract.wire import FORMS, Form
from liquid_control.nodes.policy.commands import import_message
from liquid_control.nodes.policy.reporting import to_stamp
from liquid_control.nodes.view.facts import Facts
from liquid_control.nodes.view.hand import HandError

TOPIC = 'cmd_vel_override'


class Overrides:
    """Publishes command vectors; the type follows what is known of the policy node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher: Publisher | None = None
        self._form: Form | None = None
        self._facts = Facts()
        self._problem = 'the policy node has not been heard of yet'
        self._last: tuple[float, ...] = ()
        self._last_ns = 0

    def follow(self, facts: Facts) -> None:
        """The policy node is set up like this now."""
        self._facts = facts
        form = FORMS.get(facts.command_type)
        if form is not None and form.override:
            form = FORMS[form.override]
        if form is None or not facts.axes or form is self._form:
            return
        self.close()
        self._form = form
        try:
            self._type = import_message(form)
        except ConfigError as error:
            self._problem = str(error)
            return
        self._publisher = self._node.create_publisher(self._type, TOPIC, QoSProfile(depth=1))

    def close(self) -> None:
        """Withdraw."""
        if self._publisher is not None:
            self._node.destroy_publisher(self._publisher)
            self._publisher = None

    def publish(self, values: Sequence[float], stamp_ns: int) -> None:
        """Send a command vector, given at that time, and after the one before.

        Two of one time could not both be learnt from; where time goes back it begins anew.

        Raises:
            HandError: the policy node's type of commands is not known yet, or not installed.
        """
        if self._publisher is None or self._form is None:
            raise HandError(self._problem)
        if 0 <= self._last_ns - stamp_ns < NS:
            stamp_ns = self._last_ns + 1
        self._last, self._last_ns = tuple(values), stamp_ns
        message = self._type()
        if self._form.stamped:
            message.header.stamp = to_stamp(stamp_ns)
        names = [axis.name for axis in self._facts.axes]
        told = dict(zip(names, values, strict=True))
        self._form.write(message, told, self._facts.wheelbase)
        self._publisher.publish(message)

    def stop(self, stamp_ns: int) -> None:
        """Send that nothing is to move; a steering or a joint stays where it is."""
        axes = self._facts.axes
        if self._publisher is not None and len(self._last) == len(axes):
            still = zip(axes, self._last, strict=True)
            self.publish([0.0 if axis.moves else value for axis, value in still], stamp_ns)
