# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Any damage to any format is read, refused, described or repaired; never is it a traceback."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from rosbags.rosbag2 import CompressionMode
from support.bag_makers import write_bag
from support.messy_bags import add_int8s, deadline, mcap_file, ros1_bag, rosbag2

from liquid_control.bags import in_use
from liquid_control.bags.errors import BagError
from liquid_control.bags.info import inspect_bag
from liquid_control.bags.reader import BagReader
from liquid_control.bags.repair import repair
from liquid_control.evaluate.report.bag_table import print_info

CASES = 25


def make(path: Path, kind: str) -> None:
    if kind in ('mcap', 'lz4'):
        write_bag(path, messages=20, compression='zstd' if kind == 'mcap' else 'lz4')
    elif kind == 'no chunks':
        with mcap_file(path / 'x.mcap', use_chunking=False) as mcap:
            add_int8s(mcap)
    elif kind.startswith('ros1'):
        path.mkdir()
        ros1_bag(path / 'x.bag', kind.removeprefix('ros1').strip(), messages=20)
    else:
        rosbag2(path, mode=CompressionMode[kind.removeprefix('sqlite3 ').upper()])


def damage(file: Path, rng: random.Random) -> None:
    """Flip, cut, repeat or drop some bytes, often near the ends, where the formats describe."""
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice((1, 1, 3, 10))):
        at = rng.randrange(len(content))
        at = rng.choice((at, min(at, 100), max(at, len(content) - 200)))
        match rng.randrange(5):
            case 0:
                content[at] ^= rng.randrange(1, 256)
            case 1:
                content[at : at + 8] = rng.choice((b'\xff', b'\0')) * 8
            case 2:
                content[at:at] = content[at // 2 : at // 2 + 50]
            case 3:
                del content[at : at + rng.randrange(1, 50)]
            case 4 if at > 10:
                del content[at:]
    file.write_bytes(content)


def read(path: Path) -> None:
    with BagReader(path) as reader:
        for message in reader.messages():
            try:
                _ = message.value
            except BagError:
                continue


@pytest.mark.parametrize(
    'kind',
    ['mcap', 'lz4', 'no chunks', 'ros1', 'ros1 lz4', 'sqlite3 none', 'sqlite3 file'],
)
def test_any_damage_is_an_error_of_ours_or_none(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_use, '_has_writer', lambda path: False)
    monkeypatch.setattr(in_use, '_QUIET_SECONDS', 0.0)
    make(tmp_path / 'whole', kind)
    rng = random.Random(kind)
    for _ in range(CASES):
        case = Path(shutil.copytree(tmp_path / 'whole', tmp_path / 'case', dirs_exist_ok=True))
        damage(max(case.iterdir(), key=lambda file: file.stat().st_size), rng)
        before = {file.name: file.read_bytes() for file in case.iterdir()}
        with deadline(20):
            print_info(inspect_bag(case), Console(file=io.StringIO()))
            for act in (read, repair):
                try:
                    act(case)
                except BagError:
                    assert {file.name: file.read_bytes() for file in case.iterdir()} == before
        shutil.rmtree(case)
