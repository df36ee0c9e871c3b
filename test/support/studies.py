# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A study for tests, where worker processes can import it, and a pool without processes."""

from __future__ import annotations

from typing import Any

from liquid_control.evaluate.evidence.study import Measured, Piece, Report, Study, Table


def doubled(piece: Piece) -> Measured:
    if piece['number'] < 0:
        raise ValueError('broken off')
    return {'double': 2 * piece['number']}


def listed(found: list[tuple[Piece, Measured]]) -> Report:
    rows = [{'number': piece['number'], **measured} for piece, measured in found]
    return Report('Doubles', 'as expected', [Table('doubles', 'Doubles', rows, 'of all')])


def doubles(*numbers: int) -> Study:
    return Study('doubles', doubled, [{'number': number} for number in numbers], listed)


class Here:
    """A pool of no processes: all is done here."""

    def run(self, work: Any, items: Any, **options: Any) -> list[Any]:
        return [work(item, lambda: False) for item in items]
