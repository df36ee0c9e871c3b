# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Values of parameters."""

from typing import Any


class ParameterValue:
    def __init__(self, value: Any, *, value_type: type) -> None:
        self.value = value_type(value)
