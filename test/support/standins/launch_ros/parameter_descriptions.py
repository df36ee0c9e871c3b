"""Values of parameters."""

from typing import Any


class ParameterValue:
    def __init__(self, value: Any, *, value_type: type) -> None:
        self.value = value_type(value)
