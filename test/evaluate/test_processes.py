# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Child processes end with their parent, in order, and their last words are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from liquid_control.evaluate.closed_loop.processes import Children, ProcessError


def write_module(folder: Path, name: str, text: str) -> None:
    (folder / f'{name}.py').write_text(text)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {'PYTHONPATH': str(tmp_path)}


SLEEPER = """
import signal, sys, time
{handler}
print('ready', flush=True)
time.sleep(60)
"""


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and text in path.read_text()):
        assert time.monotonic() < deadline, f'{text!r} never came in {path}'
        time.sleep(0.02)


def watch(children: Children) -> None:
    """Raises when a child ends."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children.require_alive()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ("print('[ERROR] [1.5] [policy_node]: no such bundle'); print('bye')", 'no such bundle'),
        ("print('[ERROR] [1.5] [policy_node]: earlier'); 1 / 0", 'ZeroDivisionError: '),
        ("print('one'); print('two')", 'one | two'),
        ('', 'it said nothing'),
    ],
)
def test_child_that_ends_is_named_with_its_last_words(
    tmp_path: Path, environment: dict[str, str], text: str, said: str
) -> None:
    write_module(tmp_path, 'failing', f'{text}\nraise SystemExit(1)')
    with Children(tmp_path / 'log', environment) as children:
        children.start('policy_node', 'failing', [])
        with pytest.raises(ProcessError) as caught:
            watch(children)
    message = str(caught.value)
    assert message.startswith(f'policy_node ended with exit status 1: {said}')
    assert message.endswith(f'(log: {tmp_path / "log" / "policy_node.log"})')


def test_children_end_in_the_order_they_were_started(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    handler = (
        'def stop(*_):\n'
        "    open(sys.argv[2], 'a').write(sys.argv[1])\n"
        '    sys.exit(0)\n'
        'signal.signal(signal.SIGINT, stop)'
    )
    write_module(tmp_path, 'polite', SLEEPER.format(handler=handler))
    order = tmp_path / 'order'
    with Children(tmp_path / 'log', environment) as children:
        for name in 'abc':
            children.start(name, 'polite', [name, str(order)])
        for name in 'abc':
            wait_for(tmp_path / 'log' / f'{name}.log', 'ready')
    assert order.read_text() == 'abc'


def test_child_that_ignores_signals_is_killed(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 10.0))
    monkeypatch.setattr('liquid_control.evaluate.closed_loop.processes._PATIENCE', patience)
    handler = 'for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)'
    write_module(tmp_path, 'stubborn', SLEEPER.format(handler=handler))
    others = set(psutil.Process().children())  # such as what keeps count of a pool's resources
    with Children(tmp_path / 'log', environment) as children:
        children.start('stubborn', 'stubborn', [])
        wait_for(tmp_path / 'log' / 'stubborn.log', 'ready')
        (child,) = set(psutil.Process().children()) - others
    assert not child.is_running()


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel service is that of Linux')
def test_children_end_when_their_parent_is_killed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    write_module(tmp_path, 'sleeper', SLEEPER.format(handler=''))
    write_module(
        tmp_path,
        'parent',
        'import os, pathlib, time\n'
        'from liquid_control.evaluate.closed_loop.processes import Children\n'
        f'children = Children(pathlib.Path({str(tmp_path / "log")!r}), os.environ)\n'
        "children.start('sleeper', 'sleeper', [])\n"
        'time.sleep(60)\n',
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with subprocess.Popen(
        [sys.executable, '-m', 'parent'], env=environment | {'PYTHONPATH': path}
    ) as parent:
        wait_for(tmp_path / 'log' / 'sleeper.log', 'ready')
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    child.wait(timeout=20)
