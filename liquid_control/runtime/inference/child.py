# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Python processes of our own that see what we see, and not what lies where we were started."""

from __future__ import annotations

import sys


def child_command(module: str, argument: str) -> list[str]:
    """The command line that runs a module's `main` with one argument.

    `python -m` would import what lies in the working directory first, be it a bundle.
    """
    program = (
        f'import sys; sys.path[:] = {sys.path!r}; '
        f'from {module} import main; raise SystemExit(main())'
    )
    return [sys.executable, '-c', program, argument]
