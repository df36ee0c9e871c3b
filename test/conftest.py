# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests."""

import signal
from pathlib import Path
from typing import Any

import pytest
from support.bundles import make_bundle

from liquid_control.contract.bundle import Bundle, load_bundle

# A shell's background job ignores SIGINT, what `nohup` starts ignores SIGHUP, and so would every
# process that a test ends by them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# Real processes that keep real time: one after the other, however many test processes there are.
ROBOTS = {'nodes', 'closed_loop', 'test_drive', 'test_teach', 'test_plain_install'}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests stay together in one of several test processes: a file's, and the robots'."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = Path(nodeid.split('::')[0])
            return 'robots' if {*file.parent.parts, file.stem} & ROBOTS else str(file)

    return ByFile(config, log)


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A policy with camera, IMU and speed; tests that damage one make their own."""
    return load_bundle(make_bundle(tmp_path_factory.mktemp('bundles') / 'bundle', speed=True))
