# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What holds of every source file."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ('liquid_control', 'test', 'benchmarks', 'docs', 'launch')
SUFFIXES = {'.py', '.cpp', '.hpp', '.c', '.js', '.css'}
NOTICE = ('Copyright 2026 The liquid_control maintainers', 'SPDX-License-Identifier: Apache-2.0')


def sources() -> Iterator[Path]:
    yield ROOT / 'setup.py'
    for folder in FOLDERS:
        yield from (file for file in (ROOT / folder).rglob('*') if file.suffix in SUFFIXES)


def test_a_source_file_says_whose_it_is_and_under_which_license() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for file in sources()
        if not all(line in file.read_text()[:200] for line in NOTICE)
    ]
    assert silent == [], f'these need {" and ".join(NOTICE)} in two comments at their top'


def test_a_class_has_a_name_of_its_own() -> None:
    names = Counter(
        node.name
        for file in (ROOT / 'liquid_control').rglob('*.py')
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []
