# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The actions that launch files here use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity


class DeclareLaunchArgument(LaunchDescriptionEntity):
    def __init__(self, name: str, *, default_value: str | None = None, description: str) -> None:
        self.name = name
        self.default_value = default_value

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(f'missing required argument {self.name!r}')
            context.launch_configurations[self.name] = self.default_value
        return []


class OpaqueFunction(LaunchDescriptionEntity):
    def __init__(self, *, function: Callable[[LaunchContext], Sequence]) -> None:
        self._function = function

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        return self._function(context)


class IncludeLaunchDescription(LaunchDescriptionEntity):
    def __init__(self, source, *, launch_arguments: Iterable[tuple[str, str]]) -> None:
        self._source = source
        self._arguments = dict(launch_arguments)

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        context.launch_configurations.update(self._arguments)
        description: LaunchDescription = self._source.get_launch_description(context)
        return [description]


class EmitEvent(LaunchDescriptionEntity):
    def __init__(self, *, event) -> None:
        self.event = event


class RegisterEventHandler(LaunchDescriptionEntity):
    def __init__(self, event_handler) -> None:
        self.event_handler = event_handler
