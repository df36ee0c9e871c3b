# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The same work on the machines of a Ray cluster, where one is not enough."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rich.console import Console

from liquid_control.common.errors import ConfigError
from liquid_control.common.jobs import count_progress
from liquid_control.common.packages import explained

Item = TypeVar('Item')
Result = TypeVar('Result')


def run_on_ray(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    address: str,
    title: str,
    console: Console,
) -> list[Result]:
    """Call `work` for every item on one core each; return the results in the items' order.

    Args:
        work: importable on every node: this package is installed there.
        address: of the cluster, e.g. '10.0.0.1:6379', or 'auto' on one of its machines.
        title: of the progress bar.

    Raises:
        MissingPackageError: Ray is not installed.
        ConfigError: there is no cluster at the address.
        Exception: the first error of a task; the others are broken off.
    """
    try:
        import ray
    except ImportError as error:
        raise explained(error) from error
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f'no Ray cluster answers at {address}: {error}') from error
    pending = []
    try:
        task: Any = ray.remote(_call)
        jobs = [task.remote(work, item) for item in items]
        pending = list(jobs)
        with count_progress(console) as progress:
            bar = progress.add_task(title, total=len(jobs))
            while pending:
                (done,), pending = ray.wait(pending)
                ray.get(done)
                progress.advance(bar)
        return [ray.get(job) for job in jobs]
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    finally:
        for job in pending:
            ray.cancel(job, force=True)
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError if nobody listens there: Ray itself would try for minutes."""
    host, _, port = address.removeprefix('ray://').rpartition(':')
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5.0).close()


def _call(work: Callable[[Item], Result], item: Item) -> Result:
    # Ray takes plain functions only, no partial ones.
    return work(item)
