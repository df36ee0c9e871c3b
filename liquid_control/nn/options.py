# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Sizes and choices as they are given, turned into plain ones, which a file can hold."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TypeVar

Option = TypeVar('Option')


def whole_number(name: str, value: object, least: int = 1) -> int:
    """The number as a Python int, whatever kind of integer it is (NumPy's, a tensor of one).

    Raises:
        TypeError: it is no whole number.
        ValueError: it is less than `least`.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f'{name} must be a whole number, got {value!r}') from None
    if number < least:
        raise ValueError(f'{name} must be at least {least}, got {number}')
    return number


def one_of(name: str, value: object, options: Iterable[Option]) -> Option:
    """The option that equals `value`.

    Raises:
        ValueError: none does.
    """
    options = tuple(options)
    for option in options:
        if option == value:
            return option
    raise ValueError(f'{name} must be one of {options}, got {value!r}')
