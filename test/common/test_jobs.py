# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Work in several processes leaves none of them behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil

SLEEPING = """
import os, sys, time
from pathlib import Path
from liquid_control.common.jobs import run_all

def work(folder, is_cancelled):
    Path(folder, str(os.getpid())).touch()
    while not is_cancelled():
        time.sleep(0.02)

if __name__ == '__main__':
    try:
        run_all(work, [sys.argv[1]], title='sleepers', workers=1)
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(f'{type(error).__name__}: {error}')
"""


def started(folder: Path) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A process that gives work away, and the worker that sleeps over it."""
    script, pids = folder / 'script.py', folder / 'pids'
    script.write_text(SLEEPING)
    pids.mkdir()
    parent = subprocess.Popen([sys.executable, script, pids], stderr=subprocess.PIPE, text=True)
    while not any(pids.iterdir()):
        assert parent.poll() is None
        time.sleep(0.02)
    return parent, psutil.Process(int(next(pids.iterdir()).name))


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    parent, worker = started(tmp_path)
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs([worker], timeout=20)
    assert not alive


def test_a_killed_worker_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    parent, worker = started(tmp_path)
    worker.kill()
    _, said = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert said.startswith('JobError: sleepers: a worker process was killed')


def test_a_terminated_parent_ends_as_if_interrupted(tmp_path: Path) -> None:
    parent, worker = started(tmp_path)
    parent.terminate()
    worker.wait(60)  # it is told, and sleeps for a moment at a time
    _, said = parent.communicate(timeout=60)
    assert (parent.returncode, said) == (1, 'KeyboardInterrupt: \n')
