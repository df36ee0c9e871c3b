# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the command line says, on a terminal or where nobody looks."""

from __future__ import annotations

import sys

from rich.console import Console

from liquid_control.common.plain_text import printable


def complain(words: str) -> None:
    """Say in one line what went wrong."""
    print(f'liquid-control: {printable(" ".join(words.split()))}', file=sys.stderr)


def table_console() -> Console:
    """For tables: where nobody looks at them their lines may be long."""
    return Console(width=None if sys.stdout.isatty() else 200)
