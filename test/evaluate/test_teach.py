# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A lesson with a script for the hand, from the first key to the report; and its interruption."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from liquid_control.common.errors import ConfigError
from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.teach.progress import open_progress

LESSON = Path(__file__).parents[2] / 'benchmarks' / 'teach.py'
# What is learnt so does not drive; how well a lesson goes is the benchmark's matter.
SHORT = (
    *('--set=fit.epochs=1', '--set=fit.min_steps=2', '--set=network.neurons=12'),
    *('--laps=1', '--rounds=1', '--top-speed=1.0', '--pace=1.5'),
)


@pytest.mark.timeout(600)  # on a busy machine; else half a minute
def test_lesson_goes_from_the_first_key_to_the_report(tmp_path: Path) -> None:
    pytest.importorskip('nicegui', reason="pip install '.[view]'")
    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
    out = tmp_path / 'lesson'
    done = subprocess.run(
        [sys.executable, str(LESSON), *SHORT, f'--port={port}', f'--out={out}'],
        cwd=tmp_path, capture_output=True, text=True, timeout=560, check=False,
    )  # fmt: skip
    # It asked for one more lap by hand, and was interrupted.
    assert done.returncode == 130, done
    assert 'Traceback' not in done.stderr
    assert f'to go on later: --out {out.name}' in done.stdout
    summary = json.loads((out / 'summary.json').read_text())
    assert len(summary['you']['lap_times']) == 1
    assert summary['you']['mean_speed'] > 0.5
    assert summary['policy_drive']['lap_times'] == []
    assert load_bundle(out / summary['policy']).contract.network.neurons == 12
    report = (out / 'report.html').read_text()
    assert 'class="verdict failed"' in report
    assert 'Your path' in report
    progress = open_progress(out, seed=104, laps=1)
    assert (progress.laps, progress.wanted) == (1, 2)
    assert progress.reason


def test_lesson_on_another_track_is_not_gone_on_with(tmp_path: Path) -> None:
    open_progress(tmp_path, seed=104, laps=3).save(tmp_path)
    assert open_progress(tmp_path, seed=104, laps=3).wanted == 3
    with pytest.raises(ConfigError, match='--seed 104'):
        open_progress(tmp_path, seed=105, laps=3)


@pytest.mark.parametrize('text', ['', '[]', '{"seed": 104}', '{"seed": 1, "wanted": {}, "x": 1}'])
def test_lesson_that_is_damaged_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / 'lesson.json').write_text(text)
    with pytest.raises(ConfigError, match='damaged'):
        open_progress(tmp_path, seed=104, laps=3)


def test_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'thesis.tex').touch()
    with pytest.raises(ConfigError, match='not empty'):
        open_progress(tmp_path, seed=104, laps=3)
