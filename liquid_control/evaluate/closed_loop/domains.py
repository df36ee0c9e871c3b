# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A ROS domain of one's own: what two processes take, they do not share by accident.

A domain is held by a lock on a file in the temporary directory, which ends with the process.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

from liquid_control.common.errors import LiquidControlError

# 0 is what people use by hand; above 101 are ports that the operating system hands out to others.
_DOMAINS = range(1, 102)

_held: dict[int, int] = {}
"""Descriptors of the files that this process has locked, by domain."""


class DomainError(LiquidControlError):
    """A ROS domain is not to be had."""


def claim_domain() -> int:
    """A domain that nobody on this machine uses, held until this process ends.

    Raises:
        DomainError: all are in use.
    """
    first = os.getpid() % len(_DOMAINS)
    for offset in range(len(_DOMAINS)):
        domain = _DOMAINS[(first + offset) % len(_DOMAINS)]
        if domain in _held or not hold_domain(domain):
            continue
        if not _has_participants(domain):
            return domain
        os.close(_held.pop(domain))
    raise DomainError('no free ROS domain: set ROS_DOMAIN_ID to the one to share')


def hold_domain(domain: int) -> bool:
    """Hold a domain until this process ends; False where another process does."""
    if domain in _held:
        return True
    try:
        descriptor = _open(Path(tempfile.gettempdir()) / f'liquid_control_domain_{domain}.lock')
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    _held[domain] = descriptor
    return True


def isolated_environment() -> dict[str, str]:
    """This process's environment with a ROS domain of its own, on this machine alone.

    What the user has set stays.

    Raises:
        DomainError: the domain that the user has set is held by another process.
    """
    environment = dict(os.environ)
    environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    named = environment.setdefault('ROS_DOMAIN_ID', '') or str(claim_domain())
    if not named.isdecimal():
        raise DomainError(f'ROS_DOMAIN_ID must be a number, found {named!r}')
    if not hold_domain(int(named)):
        raise DomainError(
            f'another drive runs in ROS domain {named}: wait for its end, or unset ROS_DOMAIN_ID '
            'and this one takes a free domain'
        )
    return environment | {'ROS_DOMAIN_ID': named}


def _open(path: Path) -> int:
    """Open a lock file that may be another user's, but nothing else that lies in its place."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o644)


def _has_participants(domain: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Where the domain's first participant listens (DDSI-RTPS, 9.6.1.1).
            probe.bind(('', 7400 + 250 * domain + 10))
        except OSError:
            return True
    return False
