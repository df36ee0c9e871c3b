# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Launch files, evaluated without starting anything: with the real `launch`, else a stand-in."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

if importlib.util.find_spec('launch') is None or importlib.util.find_spec('launch_ros') is None:
    sys.path.insert(0, str(Path(__file__).parent / 'standins'))

import rclpy
from launch import LaunchContext
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from rclpy.context import Context
from rclpy.node import Node as RosNode

from liquid_control.common.assets import shipped_folder


@dataclass
class Launched:
    """A node that a launch file starts."""

    executable: str
    name: str
    parameters: dict[str, Any]
    remappings: dict[str, str]
    respawn: bool
    handlers: list[Any]

    def end(self, returncode: int, *, shutting_down: bool = False) -> Any:
        """What the launch does when the node ends."""
        context = LaunchContext()
        context._set_is_shutdown(shutting_down)
        event = SimpleNamespace(returncode=returncode)
        return [entity for h in self.handlers for entity in h.handle(event, context) or []]


def launch(
    name: str,
    *,
    around: str = '',
    argv: tuple[str, ...] = (),
    **arguments: str,
) -> dict[str, Launched]:
    """The nodes of a launch file, by their executables.

    Args:
        name: of the launch file.
        around: namespace that a launch file around this one has pushed.
        argv: what was typed at `ros2 launch`.
    """
    context = LaunchContext(argv=argv)
    if around:
        context.launch_configurations['ros_namespace'] = around
    source = PythonLaunchDescriptionSource(str(shipped_folder() / 'launch' / f'{name}.launch.py'))
    nodes, handlers = [], []
    waiting = [IncludeLaunchDescription(source, launch_arguments=arguments.items())]
    while waiting:
        entity = waiting.pop(0)
        if isinstance(entity, Node):
            entity._perform_substitutions(context)
            nodes.append(entity)
        elif isinstance(entity, RegisterEventHandler):
            handlers.append(entity.event_handler)
        else:
            waiting = [*(entity.visit(context) or []), *waiting]
    return {node.node_executable: _launched(node, handlers) for node in nodes}


def _launched(node: Any, handlers: list[Any]) -> Launched:
    return Launched(
        executable=node.node_executable,
        name=node.node_name,
        parameters=_parameters(node),
        remappings=dict(node.expanded_remapping_rules or []),
        respawn=getattr(node, 'respawn', getattr(node, '_ExecuteLocal__respawn', False)),
        handlers=[handler for handler in handlers if node in vars(handler).values()],
    )


def _parameters(node: Any) -> dict[str, Any]:
    """What the node would be given, by ROS itself."""
    arguments = ['--ros-args', '-r', f'__node:={node.node_name.rpartition("/")[2]}']
    arguments += ['-r', f'__ns:={node.expanded_node_namespace or "/"}']
    for file, _ in node._Node__expanded_parameter_arguments:
        arguments += ['--params-file', file]
    context = Context()
    rclpy.init(context=context)
    try:
        probe = RosNode(
            'probe',
            context=context,
            cli_args=arguments,
            use_global_arguments=False,
            start_parameter_services=False,
        )
        # Declaring them would refuse empty lists, whose type a file does not tell.
        found = {name: given.value for name, given in probe._parameter_overrides.items()}
        probe.destroy_node()
    finally:
        context.try_shutdown()
    return found
