# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Work in several processes leaves none of them behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

KILLED = """
import os, sys, time
from pathlib import Path
from liquid_control.common.jobs import run_all

def work(folder, is_cancelled):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == '__main__':
    run_all(work, [sys.argv[1]], title='sleepers', workers=1)
"""


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    script, folder = tmp_path / 'script.py', tmp_path / 'pids'
    script.write_text(KILLED)
    folder.mkdir()
    parent = subprocess.Popen([sys.executable, script, folder], stderr=subprocess.DEVNULL)
    try:
        while not any(folder.iterdir()):
            assert parent.poll() is None
            time.sleep(0.02)
        worker = psutil.Process(int(next(folder.iterdir()).name))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _, alive = psutil.wait_procs([worker], timeout=20)
    assert not alive
