# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files that a command shall write: tried before the work; a failure is one line, with path."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.bag_makers import write_bag
from typer.testing import CliRunner

from liquid_control.bags import reader
from liquid_control.cli.main import app
from liquid_control.common.files import check_output, write_output


def run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stderr


@pytest.mark.parametrize('option', ['--csv', '--json', '--picture'])
def test_an_output_that_cannot_be_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    bag = write_bag(tmp_path / 'bag')
    monkeypatch.setattr(reader.BagReader, '__init__', lambda *_: pytest.fail('worked in vain'))
    (tmp_path / 'file').touch()
    (tmp_path / 'folder.png').mkdir()
    for target, reason in (
        (tmp_path / 'file' / 'x.png', 'Not a directory|File exists'),
        (tmp_path / 'folder.png', 'Is a directory'),
        (Path('/proc/nowhere/x.png'), 'No such file'),
    ):
        status, err = run('replay', bag, '--policy', 'track_cfc', option, target)
        assert status == 1
        assert err.count('\n') == 1
        assert err.startswith('liquid-control: /')
        assert any(words in err for words in reason.split('|'))


@pytest.mark.parametrize('name', ['out.xyz', 'out', 'out.gif'])
def test_a_picture_of_an_unknown_kind_is_refused_before_the_work(
    tmp_path: Path, name: str
) -> None:
    status, err = run('replay', '/no/bag', '--policy', 'track_cfc', '--picture', tmp_path / name)
    assert status == 1
    assert f'--picture must end in .png, .svg, .pdf, found {name}' in err


def test_any_error_of_the_system_is_one_line_with_path_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/disk/x')

    monkeypatch.setattr('liquid_control.bags.repair.repair', full)
    status, err = run('bag', 'repair', tmp_path)
    assert (status, err) == (1, 'liquid-control: /disk/x: No space left on device\n')


def test_a_full_disk_is_named_with_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match='No space left'):
        write_output(Path('/dev/full'), 'x')
    check_output(Path('/dev/null'))
    write_output(Path('/dev/null'), 'x')
    target = tmp_path / 'new' / 'x.csv'
    check_output(target)
    assert list(target.parent.iterdir()) == []
    write_output(target, 'text')
    assert target.read_text() == 'text'
