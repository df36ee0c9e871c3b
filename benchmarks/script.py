# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a benchmark ends: Ctrl-C and what a user can act on are one line, as of liquid-control."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from liquid_control.common.errors import LiquidControlError


def end_briefly(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Tell why the process ends; a defect with its traceback."""
    name = Path(sys.argv[0]).name
    if issubclass(kind, KeyboardInterrupt):
        print(f'{name}: interrupted', file=sys.stderr)
    elif issubclass(kind, LiquidControlError):
        print(f'{name}: {error}', file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


# From here on: the imports that follow this one take seconds.
sys.excepthook = end_briefly


def run_script(main: Callable[[], int | None]) -> None:
    """Run a benchmark's main and end the process with its status."""
    sys.exit(main())
