"""Work in several processes: results in order, errors out, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from liquid_control.runtime.errors import ConfigError
from liquid_control.sim.pool import IsCancelled, run_all

QUIET = Console(quiet=True)


def double(number: int, is_cancelled: IsCancelled) -> int:
    time.sleep(0.2 if number == 1 else 0.0)
    return 2 * number


def refuse(number: int, is_cancelled: IsCancelled) -> int:
    if number == 0:
        raise ConfigError('no zeros')
    while not is_cancelled():
        time.sleep(0.01)
    return number


def test_results_come_in_the_order_of_the_items() -> None:
    assert run_all(double, [1, 2, 3], title='doubles', workers=2, console=QUIET) == [2, 4, 6]


def test_the_first_error_ends_all() -> None:
    with pytest.raises(ConfigError, match='no zeros'):
        run_all(refuse, [1, 0, 2, 3], title='refusals', workers=2, console=QUIET)


KILLED = """
import os, sys, time
from pathlib import Path
from liquid_control.sim.pool import run_all

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
