# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The machines of a Ray cluster, where one is not enough, as an executor like those of Python."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from liquid_control.common.errors import ConfigError
from liquid_control.common.packages import explained


class RayExecutor(Executor):
    """Tasks of one core each.

    This package is installed on every node, and what tasks read and write lies there under the
    same absolute paths.

    Args:
        address: of the cluster, e.g. '10.0.0.1:6379', or 'auto' on one of its machines.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: there is no cluster at the address.
    """

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise explained(error) from error
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(f'no Ray cluster answers at {address}: {error}') from error
        self._ray: Any = ray
        # Ray takes plain functions only, no partial ones.
        self._task: Any = ray.remote(_call)
        self._pending: dict[Future[Any], Any] = {}

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A task; what it raises is raised here as it was there."""
        reference = self._task.remote(function, args, kwargs)
        promised: Future[Any] = Future()
        self._pending[promised] = reference

        def pass_on(task: Future[Any]) -> None:
            self._pending.pop(promised, None)
            if error := task.exception():
                promised.set_exception(getattr(error, 'cause', None) or error)
            else:
                promised.set_result(task.result())

        reference.future().add_done_callback(pass_on)
        return promised

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; tasks that are not done are broken off."""
        for reference in list(self._pending.values()):
            self._ray.cancel(reference, force=True)
        self._ray.shutdown()


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def _knock(address: str) -> None:
    """Raise OSError if nobody listens there: Ray itself would try for minutes."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5.0).close()
