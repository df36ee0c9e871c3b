# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: nothing is lost, and what is said is one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from liquid_control.common.jobs import terminated_as_interrupted
from liquid_control.evaluate.closed_loop.monitor import uninterrupted

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_ros_is_done_and_is_not_lost(signum: signal.Signals) -> None:
    before, done = signal.getsignal(signum), []

    def interrupted() -> None:
        with uninterrupted():
            signal.raise_signal(signum)
            done.append('what was begun')

    with pytest.raises(KeyboardInterrupt), terminated_as_interrupted():
        interrupted()
    assert done
    assert signal.getsignal(signum) is before


@pytest.mark.parametrize(
    ('end', 'status', 'said'),
    [
        ('KeyboardInterrupt', -signal.SIGINT, 'x.py: interrupted\n'),
        ("LiquidControlError('it cannot')", 1, 'x.py: it cannot\n'),
    ],
)
def test_a_benchmark_ends_in_one_line(tmp_path: Path, end: str, status: int, said: str) -> None:
    (tmp_path / 'x.py').write_text(
        'from script import run_script\n'
        'from liquid_control.common.errors import LiquidControlError\n'
        f'def main():\n    raise {end}\nrun_script(main)\n'
    )
    path = f'{BENCHMARKS}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
    done = subprocess.run(
        [sys.executable, tmp_path / 'x.py'],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, said)


def test_every_benchmark_ends_so() -> None:
    for file in BENCHMARKS.glob('*.py'):
        _, started, main = file.read_text().partition("if __name__ == '__main__':\n")
        assert not started or main == '    run_script(main)\n', file.name
