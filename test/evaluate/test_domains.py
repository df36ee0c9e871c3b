# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Two processes of one machine never share a ROS domain by accident."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from liquid_control.evaluate.closed_loop import domains
from liquid_control.evaluate.closed_loop.domains import (
    DomainError,
    claim_domain,
    hold_domain,
    isolated_environment,
)

CLAIM = (
    'from liquid_control.evaluate.closed_loop.domains import claim_domain; '
    'print(claim_domain(), flush=True); input()'
)


@pytest.fixture(autouse=True)
def nothing_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Locks of this test alone; what it takes it gives back."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    held: dict[int, int] = {}
    monkeypatch.setattr(domains, '_held', held)
    yield
    for descriptor in held.values():
        os.close(descriptor)


def test_processes_that_would_draw_the_same_domain_get_different_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(
        [sys.executable, '-c', CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        taken = int(other.stdout.readline())
        monkeypatch.setattr(os, 'getpid', lambda: other.pid)
        assert claim_domain() != taken
        other.stdin.write('\n')
    assert hold_domain(taken)  # it ended with the process


def test_a_domain_with_participants_is_left_alone() -> None:
    first = claim_domain()
    os.close(domains._held.pop(first))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(('', 7400 + 250 * first + 10))
        assert claim_domain() != first


def test_a_domain_that_the_user_named_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', '42')
    assert isolated_environment()['ROS_DOMAIN_ID'] == '42'
    monkeypatch.setattr(domains, '_held', {})  # as another process would see it
    with pytest.raises(DomainError, match=r'another drive .* 42: .* unset ROS_DOMAIN_ID'):
        isolated_environment()


def test_a_link_in_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / 'liquid_control_domain_7.lock').symlink_to(tmp_path / 'victim')
    assert not hold_domain(7)
    assert not (tmp_path / 'victim').exists()
