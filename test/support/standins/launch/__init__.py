# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stands in for ROS 2's `launch` where that is not installed: as much as launch files here use.

It evaluates descriptions and starts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence


class LaunchDescriptionEntity:
    """What a description consists of; visiting one gives those that it stands for."""

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        return []


class LaunchContext:
    def __init__(self, argv: Sequence[str] = ()) -> None:
        self.argv = list(argv)
        self.launch_configurations: dict[str, str] = {}
        self.is_shutdown = False

    def _set_is_shutdown(self, state: bool) -> None:
        self.is_shutdown = state


class LaunchDescription(LaunchDescriptionEntity):
    def __init__(self, entities: Sequence[LaunchDescriptionEntity]) -> None:
        self.entities = list(entities)

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        return self.entities
