# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What tests of nodes start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recorders import Recorder
from support.ros import Peer, running


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def recorder(peer: Peer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A recorder that is active."""
    parameters = {'autostart': True, 'min_free_disk': 0, **getattr(request, 'param', {})}
    directory = tmp_path / 'session'
    log = tmp_path / 'recorder.log'
    with running('recorder_node', log, output_directory=directory, **parameters) as process:
        recorder = Recorder(peer, process, directory)
        recorder.wait(lambda: recorder.status, 'the recorder is active')
        yield recorder
