"""What holds of every source file."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_class_has_a_name_of_its_own() -> None:
    names = Counter(
        node.name
        for file in (ROOT / 'liquid_control').rglob('*.py')
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []
