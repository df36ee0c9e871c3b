# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: arguments, parameter files, and how a launch ends.

A launch argument counts only where it was given: what was not is as `params_file` says, and else
as the shipped file of the node. This runs in the Python of `ros2 launch`, which need not be that
of the nodes, so it imports nothing that only they have.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from liquid_control.common.assets import (
    CONTRACT_FILE,
    SIMULATED,
    config_file,
    find_bundle,
    robot_file,
)
from liquid_control.common.errors import BundleError, ConfigError, LiquidControlError

# Name -> default, and what it is for. None: must be given; '': counts only where it is given.
Arguments = Mapping[str, tuple[str | None, str]]

SHARED: Arguments = {
    'params_file': ('', 'parameters of any of the nodes, YAML; over those in config/'),
    'namespace': ('', 'of all nodes and their topics'),
    'respawn': ('false', 'start a node anew when it ends; without, the launch ends with it'),
}

# A recorder that is told to end waits for the robot to come to rest, and closes its bag.
_PATIENCE = '15'  # s
_RESPAWN_DELAY = 2.0  # s

_NODES = ('policy_node', 'recorder_node', 'player_node', 'simulator_node', 'view_node')

_WORDS = {'true': True, '1': True, 'false': False, '0': False}


class LaunchError(LiquidControlError):
    """A node without which the others make no sense has failed."""


def describe(
    file: str,
    arguments: Arguments,
    entities: Callable[[Given], Sequence[LaunchDescriptionEntity]],
) -> LaunchDescription:
    """The description of a launch file: its arguments, and what it starts for those given.

    Args:
        file: `__file__` of the launch file.
        entities: called when the arguments are known.
    """

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if any(Path(word).name == Path(file).name for word in sys.argv):
            # `ros2 launch` started this very file and passes on whatever was typed.
            _refuse_unknown(context.argv, arguments)
        return list(entities(Given(context, arguments)))

    declared = [
        DeclareLaunchArgument(
            name, description=text, **({} if default is None else {'default_value': default})
        )
        for name, (default, text) in arguments.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


class Given:
    """The launch arguments as texts, '' where one was not given, and nodes made from them.

    Raises:
        ConfigError: `params_file` cannot be used, or another argument cannot be what it is.
    """

    def __init__(self, context: LaunchContext, arguments: Arguments) -> None:
        self._texts: dict[str, str] = {
            name: LaunchConfiguration(name).perform(context) for name in arguments
        }
        above: str = context.launch_configurations.get('ros_namespace', '')
        self._outer = above.rstrip('/')
        named = self['params_file']
        self.params_file = Path(os.path.expanduser(named)).absolute() if named else None
        self._sections = dict(_sections(self.params_file)) if self.params_file else {}
        self._refuse_foreign_file()

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def flag(self, name: str) -> bool:
        """An argument that is true or false."""
        return bool(self._typed(name, bool))

    def parameters(self, **types: type) -> dict[str, Any]:
        """Of the arguments given, by name and type, as parameters of the same names."""
        return {
            name: ParameterValue(self._typed(name, kind), value_type=kind)
            for name, kind in types.items()
            if self[name]
        }

    def strengths(self, name: str) -> dict[str, Any]:
        """An argument such as 'movers=0.0 lidar=0.5', as a list; a node knows which there are."""
        words = self[name].split()
        for word in words:
            part, _, strength = word.partition('=')
            try:
                known = bool(part) and 0.0 <= float(strength) <= 1.0
            except ValueError:
                known = False
            if not known:
                raise ConfigError(
                    f"{name}: expected strengths of 0 to 1 such as 'movers=0.0 lidar=0.5', "
                    f'found {word!r}'
                )
        return {name: words} if words else {}

    def remappings(self, name: str) -> list[tuple[str, str]]:
        """An argument such as 'scan:=front/scan odom:=/odom'."""
        words = self[name].split()
        for word in words:
            if not all(word.partition(':=')):
                raise ConfigError(
                    f"{name}: expected names such as 'scan:=front/scan', found {word!r}"
                )
        return [(word.partition(':=')[0], word.partition(':=')[2]) for word in words]

    def configured(self, node: str, parameter: str, *, shipped: bool = True) -> Any:
        """What the parameter files say of a node's parameter; None where they say nothing.

        Args:
            shipped: whether the shipped file has a say, below `params_file`.
        """
        value = None
        for sections in (dict(_sections(_shipped(node))) if shipped else {}, self._sections):
            for pattern, values in sections.items():
                if _matches(pattern, self._full_name(node)):
                    value = values.get(parameter, value)
        return value

    def node(
        self,
        name: str,
        parameters: Mapping[str, Any],
        *,
        remappings: Sequence[tuple[str, str]] = (),
        needed: bool = True,
    ) -> list[LaunchDescriptionEntity]:
        """A node of this package, with the parameter files and then `parameters`.

        Args:
            needed: the launch ends with the node, unless `respawn` was given.
        """
        files = [file for file in (_shipped(name), self.params_file) if file and file.is_file()]
        respawn = self.flag('respawn')
        node = Node(
            package='liquid_control',
            executable=name,
            name=name,
            namespace='' if self._outer_is_namespace else self['namespace'],
            output='screen',
            parameters=[*map(str, files), dict(parameters)],
            remappings=list(remappings),
            respawn=respawn,
            respawn_delay=_RESPAWN_DELAY,
            sigterm_timeout=_PATIENCE,
        )
        if respawn or not needed:
            return [node]
        return [node, ends_with(node, name)]

    @property
    def _outer_is_namespace(self) -> bool:
        """Whether a launch file above has put this one into its namespace already."""
        return self._outer.endswith('/' + self['namespace'].strip('/'))

    def _full_name(self, node: str) -> str:
        own = '' if self._outer_is_namespace else self['namespace'].strip('/')
        return '/'.join([self._outer, *([own] if own else []), node])

    def _refuse_foreign_file(self) -> None:
        """A file that means no node of this package is a slip of the pen."""
        names = [self._full_name(node) for node in _NODES]
        if self.params_file and not any(
            _matches(pattern, name) for pattern in self._sections for name in names
        ):
            raise ConfigError(
                f'params_file {self.params_file} has sections for '
                f'{", ".join(self._sections) or "no node"}, none of which is for any of '
                f'{", ".join(names)}'
            )

    def _typed(self, name: str, kind: type) -> Any:
        text = self[name]
        try:
            return _WORDS[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f'{name} must be {"true or false" if kind is bool else f"of type {kind.__name__}"}'
                f', found {text!r}'
            ) from error


def robot_for(policy: str) -> str:
    """The simulated robot that takes what a policy commands; '' where none does.

    Raises:
        BundleError: there is no such policy, or it does not say what it commands.
    """
    file = find_bundle(policy) / CONTRACT_FILE
    try:
        document = yaml.safe_load(file.read_text(encoding='utf-8'))
        names = {command['name'] for command in document['commands']}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BundleError(f'{file} does not say what the policy commands: {error}') from error
    for robot in SIMULATED:
        limits = yaml.safe_load(robot_file(f'simulated_{robot}').read_text(encoding='utf-8'))
        if names == set(limits['limits']):
            return robot
    return ''


def ends_with(action: Node, name: str) -> RegisterEventHandler:
    """The launch ends when a process does, and fails where that failed."""

    def end(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        if event.returncode:
            raise LaunchError(f'{name} ended with exit status {event.returncode}: see above')
        return [EmitEvent(event=Shutdown(reason=f'{name} has ended'))]

    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=end))


def _refuse_unknown(typed: Sequence[str], arguments: Arguments) -> None:
    for word in typed:
        name, assigns, _ = word.partition(':=')
        if assigns and name not in arguments:
            raise ConfigError(f'no launch argument {name!r}: there are {", ".join(arguments)}')


def _shipped(node: str) -> Path:
    return config_file(f'{node.removesuffix("_node")}.yaml')


def _sections(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the names of nodes in a parameter file, in which `*` and `**` may stand, with values.

    Raises:
        ConfigError: it cannot be read, or is no parameter file.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(f'params_file {file} cannot be read: {error.strerror}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f'params_file {file} is not valid YAML: {error}') from error

    def walk(name: str, part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        if not isinstance(part, dict):
            raise ConfigError(
                f'params_file {file}: expected the name of a node, then ros__parameters, then '
                f'parameters, found {part!r} under {name or "nothing"!r}'
            )
        for key, value in part.items():
            if key == 'ros__parameters':
                if isinstance(value, dict):
                    yield name, value
            else:
                yield from walk(f'{name}/{str(key).strip("/")}', value)

    yield from walk('', document)


def _matches(pattern: str, name: str) -> bool:
    """Whether a node's name in a parameter file means the node of that full name."""
    parts = {'**': '(/[^/]+)*', '*': '/[^/]+'}
    return bool(
        re.fullmatch(
            ''.join(parts.get(part, f'/{re.escape(part)}') for part in pattern.split('/')[1:]),
            name,
        )
    )
