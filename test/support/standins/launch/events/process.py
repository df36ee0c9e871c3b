# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Events of processes."""


class ProcessExited:
    def __init__(self, *, returncode: int) -> None:
        self.returncode = returncode
