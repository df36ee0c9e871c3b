# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the page is to be found, and the tokens that it asks for beyond loopback."""

from __future__ import annotations

import ipaddress
import os
import socket

from liquid_control.common.assets import user_path
from liquid_control.common.errors import ConfigError
from liquid_control.nodes.view.access import Tokens

_SHORTEST_TOKEN = 16  # characters
_BACKLOG = 64


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for browsers.

    Raises:
        ConfigError: the address is not this machine's, or taken.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f'cannot serve on {host} port {port}: {error.strerror}; set the parameters host and '
            'port, or end what serves there'
        ) from error


def own_names() -> frozenset[str]:
    """What browsers in the same network call this machine."""
    name = socket.gethostname().lower()
    short = name.partition('.')[0]
    return frozenset({name, short, f'{short}.local'})


def tokens(file: str) -> Tokens:
    """Of a file, which is made where it is not there; new ones without a file.

    Raises:
        ConfigError: the file cannot be read or written, or holds no tokens.
    """
    if not file:
        return Tokens.fresh()
    path = user_path(file)
    try:
        if not path.exists():
            fresh = Tokens.fresh()
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w') as new:
                new.write(f'{fresh.drive}\n{fresh.watch}\n')
            return fresh
        drive, watch = path.read_text(encoding='utf-8').split()
    except OSError as error:
        raise ConfigError(f'token_file {path}: {error.strerror}') from error
    except ValueError as error:
        raise ConfigError(
            f'token_file {path} must hold two words, one to drive with and one to watch: delete '
            'it, and it is made anew'
        ) from error
    if min(len(drive), len(watch)) < _SHORTEST_TOKEN or drive == watch:
        raise ConfigError(
            f'token_file {path}: two different tokens of at least {_SHORTEST_TOKEN} characters '
            'are needed: delete it, and they are made anew'
        )
    return Tokens(drive, watch)


def addresses(host: str, port: int, kept: Tokens | None, *, read_only: bool) -> list[str]:
    """What to tell the person who started the view: where to go, and what it lets them do."""
    any_address = host in ('0.0.0.0', '::')
    name = f'{socket.gethostname()}.local' if any_address else host
    root = f'http://{f"[{name}]" if ":" in name else name}:{port}/'
    watch = 'watch only'
    if kept is None:
        return [f'{watch if read_only else "drive and watch"}: {root}']
    lines = [f'{watch}: {root}?token={kept.watch}']
    return lines if read_only else [f'drive and watch: {root}?token={kept.drive}', *lines]
