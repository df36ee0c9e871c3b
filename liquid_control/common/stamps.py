# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stamps: whole nanoseconds here, seconds and nanoseconds in messages."""

from __future__ import annotations

from typing import Any

NS = 1_000_000_000
"""Nanoseconds in a second."""


def to_ns(sec: int, nanosec: int) -> int:
    """Both parts of a message's time as nanoseconds."""
    return int(sec) * NS + int(nanosec)


def ns_of(stamp: Any) -> int:
    """A builtin_interfaces/Time as nanoseconds."""
    return to_ns(stamp.sec, stamp.nanosec)


def split_ns(time_ns: int) -> tuple[int, int]:
    """Nanoseconds as a message's seconds and nanoseconds."""
    return divmod(time_ns, NS)
