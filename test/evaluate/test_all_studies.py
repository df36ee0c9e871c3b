# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate all --quick`, once and whole: what it writes, and that nothing is measured twice."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.evaluate.evidence import study

STUDIES = {
    'drives': 'drives',
    'recordings': 'scores',
    'compact': 'sizes',
    'bounds': 'bounds',
    'hard': 'hard',
    'rates': 'rates',
    'robust': 'thresholds',
    'attention': 'attention',
    'lesion': 'command_neurons',
    'expressivity': 'lengths',
    'solvers': 'errors',
    'memory': 'adding',
    'causal': 'causes',
}
"""With a table of each."""


def evaluate(*words: str) -> str:
    result = CliRunner().invoke(app, ['evaluate', *words])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope='module')
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp('evidence')
    return out, evaluate('all', 'track_cfc', '--quick', '--jobs', '2', '--out', str(out))


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open() as file:
        return list(csv.DictReader(file))


def test_every_study_writes_tables_pictures_and_a_report(everything: tuple[Path, str]) -> None:
    out, _ = everything
    assert {path.parent.name for path in out.glob('*/report.html')} == set(STUDIES)
    for name, table in STUDIES.items():
        assert rows_of(out / name / f'{table}.csv'), name
        assert len(list((out / name).glob('*.png'))) == page_images(out / name), name
    index = (out / 'index.html').read_text()
    assert all(f'href="{name}/report.html"' in index for name in STUDIES)
    assert 'http://' not in index
    assert 'https://' not in index


def page_images(folder: Path) -> int:
    return (folder / 'report.html').read_text().count('data:image/png')


def test_one_table_has_what_every_study_found_of_a_policy(everything: tuple[Path, str]) -> None:
    out, told = everything
    row, trained = rows_of(out / 'policies.csv')
    assert [row['policy'], trained['policy']] == ['track_cfc', 'cfc']
    assert row.keys() == trained.keys()
    assert all(row.values())
    assert row['finished, hard 0'].startswith('1 [')
    assert trained['finished, hard 0'].startswith('0 [')  # after a moment of learning
    assert 0 < float(row['half fail at, mean strength']) <= 1
    assert row['first command within'].startswith('[-0.4')
    assert int(row['parameters']) == 58972
    assert 'Policies, in one table' in told
    assert row['steering from causes'].split()[0] in (out / 'index.html').read_text()


def test_what_was_measured_is_not_measured_again(
    everything: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = everything
    before = (out / 'policies.csv').read_text()
    monkeypatch.setattr(study.Pool, 'run', lambda *_, **__: pytest.fail('measured again'))
    evaluate('all', 'track_cfc', '--quick', '--out', str(out))
    assert (out / 'policies.csv').read_text() == before


def test_the_same_seed_gives_the_same_numbers(
    everything: tuple[Path, str], tmp_path: Path
) -> None:
    out, _ = everything
    evaluate('bounds', 'track_cfc', '--quick', '--jobs', '1', '--out', str(tmp_path))
    before = (out / 'bounds' / 'bounds.csv').read_text().splitlines()
    # There beside the trainings of a cell.
    assert (tmp_path / 'bounds.csv').read_text().splitlines() == before[:2]
