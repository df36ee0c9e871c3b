# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How a benchmark ends: Ctrl-C and what a user can act on are one line, as of liquid-control."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from liquid_control.common.errors import LiquidControlError


def run_script(main: Callable[[], int | None]) -> None:
    """Run a benchmark's main and end the process with its status."""
    name = Path(sys.argv[0]).name
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(f'{name}: interrupted', file=sys.stderr)
        sys.exit(130)
    except LiquidControlError as error:
        sys.exit(f'{name}: {error}')
