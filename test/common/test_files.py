# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files are written whole or not at all, never through somebody else's link."""

import os
import socket
from pathlib import Path

import pytest

from liquid_control.common.files import (
    FileError,
    atomic_file,
    create_new,
    make_directory,
    open_regular,
    read_bounded,
    write_atomically,
)


def test_link_in_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / 'precious'
    precious.write_text('mine')
    target = tmp_path / 'metadata.yaml'
    target.symlink_to(precious)
    write_atomically(target, 'new')
    assert (precious.read_text(), target.read_text()) == ('mine', 'new')
    assert not target.is_symlink()


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / 'file'
    write_atomically(target, b'old')
    with pytest.raises(TypeError), atomic_file(target) as stream:
        stream.writelines([b'half of the n', None])
    assert target.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, 'No space left on device')

    target = tmp_path / 'file'
    write_atomically(target, b'old')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        write_atomically(target, b'new')
    assert target.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize('kind', ['link', 'hanging link', 'file'])
def test_new_file_is_never_one_that_stands_there(tmp_path: Path, kind: str) -> None:
    path, precious = tmp_path / 'new', tmp_path / 'precious'
    precious.write_text('mine')
    if kind == 'file':
        path.write_text('mine')
    else:
        path.symlink_to(precious if kind == 'link' else tmp_path / 'nowhere')
    with pytest.raises(FileExistsError):
        create_new(path)
    assert precious.read_text() == 'mine'
    assert not (tmp_path / 'nowhere').exists()


def test_pipes_devices_sockets_and_directories_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'zero').symlink_to('/dev/zero')
    for name, found in {'pipe': 'a pipe', 'zero': 'a device', '': 'a directory'}.items():
        with pytest.raises(FileError, match=f'regular file, found {found}'):
            open_regular(tmp_path / name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / 'socket'))
        with pytest.raises(OSError, match='No such device'):
            open_regular(tmp_path / 'socket')


def test_file_larger_than_it_may_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'metadata.yaml'
    path.write_bytes(b'x' * 100)
    assert read_bounded(path, 100) == b'x' * 100
    with pytest.raises(FileError, match='at most 99 bytes'):
        read_bounded(path, 99)
    path.write_bytes(b'')
    os.truncate(path, 1 << 40)
    with pytest.raises(FileError, match='at most 99 bytes'):
        read_bounded(path, 99)


def test_directories_that_begin_in_one_second_do_not_meet(tmp_path: Path) -> None:
    made = [make_directory(f'{tmp_path}/{{stamp}}/bags') for _ in range(3)]
    assert len({folder.parent.name for folder in made}) == 3
    assert all(folder.is_dir() for folder in made)
    (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
    with pytest.raises(FileExistsError):
        make_directory(f'{tmp_path}/link')
    assert make_directory(f'{tmp_path}/named') == make_directory(f'{tmp_path}/named')
