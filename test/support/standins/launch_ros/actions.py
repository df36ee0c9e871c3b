# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A node, as the command line that it would be started with."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescriptionEntity
from launch_ros.parameter_descriptions import ParameterValue


class Node(LaunchDescriptionEntity):
    def __init__(
        self,
        *,
        package: str,
        executable: str,
        name: str,
        namespace: str,
        parameters: Sequence[str | dict[str, Any]],
        remappings: Sequence[tuple[str, str]],
        respawn: bool,
        **others: Any,
    ) -> None:
        self.node_package, self.node_executable = package, executable
        self.respawn = respawn
        self._name, self._namespace = name, namespace
        self._parameters = parameters
        self.expanded_remapping_rules = list(remappings)

    def _perform_substitutions(self, context: LaunchContext) -> None:
        outer = context.launch_configurations.get('ros_namespace', '').rstrip('/')
        self.expanded_node_namespace = '/'.join(filter(None, [outer, self._namespace])) or '/'
        if not self.expanded_node_namespace.startswith('/'):
            self.expanded_node_namespace = f'/{self.expanded_node_namespace}'
        self.node_name = f'{self.expanded_node_namespace.rstrip("/")}/{self._name}'
        self.__expanded_parameter_arguments = [
            (part if isinstance(part, str) else self._write(part), True)
            for part in self._parameters
        ]

    def _write(self, parameters: dict[str, Any]) -> str:
        values = {
            name: value.value if isinstance(value, ParameterValue) else value
            for name, value in parameters.items()
        }
        with tempfile.NamedTemporaryFile('w', prefix='launch_params_', delete=False) as file:
            yaml.safe_dump({self.node_name: {'ros__parameters': values}}, file)
        return file.name
