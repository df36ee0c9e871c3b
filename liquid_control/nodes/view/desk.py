# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a person can have done: services and parameters of the policy node and the recorder."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from liquid_control.nodes.view.facts import ASKED, Facts

# s; loading and trying a policy takes as long as the policy node allows.
_TIMEOUT, _LOADING_TIMEOUT = 5.0, 60.0
_MAX_NAME = 1024  # characters of a policy's name
SLOTS = ('policy', 'shadow_policy')
EPISODE_ACTIONS = ('start_episode', 'stop_episode', 'discard_episode', 'snapshot')


class Answer(NamedTuple):
    """What became of a request, for people."""

    done: bool
    text: str


class Desk:
    """Asks the other nodes; every method may be awaited in the server's loop."""

    def __init__(self, node: Node, policy_node: str, recorder_node: str) -> None:
        self._node = node
        make = node.create_client
        self._engage = make(SetBool, f'{policy_node}/engage')
        self._promote = make(Trigger, f'{policy_node}/promote')
        self._get = make(GetParameters, f'{policy_node}/get_parameters')
        self._set = make(SetParameters, f'{policy_node}/set_parameters')
        self._episode = {
            name: make(Trigger, f'{recorder_node}/{name}') for name in EPISODE_ACTIONS
        }

    def close(self) -> None:
        """Give the clients back."""
        clients = (self._engage, self._promote, self._get, self._set, *self._episode.values())
        for client in clients:
            self._node.destroy_client(client)

    async def engage(self, engage: bool) -> Answer:
        """Let the policy drive, or stop the robot."""
        return await self._ask(self._engage, SetBool.Request(data=engage))

    async def promote(self) -> Answer:
        """Let the shadow drive."""
        return await self._ask(self._promote, Trigger.Request(), _LOADING_TIMEOUT)

    async def episode(self, action: str) -> Answer:
        """One of `EPISODE_ACTIONS`."""
        if action not in self._episode:
            return Answer(False, f'no action {action[:50]!r}')
        return await self._ask(self._episode[action], Trigger.Request())

    async def load(self, slot: str, name: object) -> Answer:
        """Put a policy in charge, or beside; '' as shadow: none."""
        if slot not in SLOTS or not isinstance(name, str) or len(name) > _MAX_NAME:
            return Answer(False, f'expected a name of at most {_MAX_NAME} characters')
        if not (name.isprintable() and (name.strip() or slot != 'policy')):
            return Answer(False, 'name a policy')
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=name.strip())
        request = SetParameters.Request(parameters=[Parameter(name=slot, value=value)])
        response = await _call(self._set, request, _LOADING_TIMEOUT)
        if response is None:
            return _silent(self._set)
        result = response.results[0]
        said = f'{slot.removesuffix("_policy")}: {name.strip() or "none"}'
        return Answer(result.successful, said if result.successful else result.reason)

    async def facts(self) -> Facts | None:
        """How the policy node is set up; None where it does not say."""
        response = await _call(self._get, GetParameters.Request(names=ASKED), _TIMEOUT)
        if response is None or len(response.values) != len(ASKED):
            return None
        values = dict(zip(ASKED, map(parameter_value_to_python, response.values), strict=True))
        if any(value is None for value in values.values()):
            return None
        return await asyncio.to_thread(Facts.read, values)

    async def _ask(self, client: Client, request: Any, timeout: float = _TIMEOUT) -> Answer:
        response = await _call(client, request, timeout)
        if response is None:
            return _silent(client)
        return Answer(response.success, response.message)


async def _call(client: Client, request: Any, timeout: float) -> Any:
    """The response of a service; None where it is not there or does not answer in time."""
    if not client.service_is_ready():
        return None
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Any] = loop.create_future()

    def take(future: Future) -> None:
        if not answered.done():
            answered.set_result(future.result())

    asked = client.call_async(request)
    asked.add_done_callback(lambda future: loop.call_soon_threadsafe(take, future))
    try:
        return await asyncio.wait_for(answered, timeout)
    except asyncio.TimeoutError:
        client.remove_pending_request(asked)
        return None


def _silent(client: Client) -> Answer:
    return Answer(False, f'{client.srv_name} does not answer: is its node there?')
