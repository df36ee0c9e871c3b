# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: nothing is lost, and what is said is one line."""

from __future__ import annotations

import runpy
import signal
from pathlib import Path

import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.evaluate.closed_loop.drive import terminated_as_interrupted
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
    [(KeyboardInterrupt(), 130, 'x.py: interrupted\n'), (ConfigError('no'), 'x.py: no', '')],
)
def test_a_benchmark_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: BaseException,
    status: int | str,
    said: str,
) -> None:
    run_script = runpy.run_path(str(BENCHMARKS / 'script.py'))['run_script']
    monkeypatch.setattr('sys.argv', ['benchmarks/x.py'])

    def main() -> None:
        raise end

    with pytest.raises(SystemExit) as ended:
        run_script(main)
    assert (ended.value.code, capsys.readouterr().err) == (status, said)


def test_every_benchmark_ends_so() -> None:
    for file in BENCHMARKS.glob('*.py'):
        _, started, main = file.read_text().partition("if __name__ == '__main__':\n")
        assert not started or main == '    run_script(main)\n', file.name
