# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What one viewer's link can carry: how often frames go out to it, and how large they are.

A page acknowledges every frame once it is drawn. One frame is on its way at a time, so that a slow
link gets fewer of them and none is old; and where a frame takes long, the next is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A frame as it is sent."""

    width: int
    """Pixels; a smaller image is sent as it is."""
    quality: int
    """Of the JPEG, 1..100."""


SIZES = (Size(640, 80), Size(480, 75), Size(320, 70), Size(240, 60), Size(160, 45))
SLOW, FAST = 0.25, 0.08  # s from sending a frame to hearing that it is drawn
_STEADY = 20  # fast frames in a row before a larger size is tried
_LOST = 5.0  # s without an acknowledgement after which a frame counts as lost


class Link:
    """Frames to one viewer; times are monotonic, s."""

    def __init__(self, period: float) -> None:
        """period: between two frames at least, s."""
        self._period = period
        self._level = 0
        self._number = 0
        self._sent_at = 0.0
        self._due = 0.0
        self._waiting = False
        self._fast = 0

    @property
    def size(self) -> Size:
        """Of the next frame."""
        return SIZES[self._level]

    def ready(self, now: float) -> bool:
        """Whether to send a frame."""
        if self._waiting and now - self._sent_at > _LOST:
            self._waiting = False
            self._smaller()
        return not self._waiting and now >= self._due

    def sent(self, now: float) -> int:
        """A frame goes out; returns its number, which the page acknowledges."""
        self._number += 1
        self._waiting = True
        # Counted from when it was due, so that the rate is kept on average.
        self._due = max(self._due + self._period, now + self._period / 2)
        self._sent_at = now
        return self._number

    def acknowledged(self, number: int, now: float) -> None:
        """The page has drawn a frame."""
        if not self._waiting or number != self._number:
            return
        self._waiting = False
        took = now - self._sent_at
        self._fast = self._fast + 1 if took < FAST else 0
        if took > SLOW:
            self._smaller()
        elif self._fast >= _STEADY and self._level > 0:
            self._level -= 1
            self._fast = 0

    def _smaller(self) -> None:
        self._level = min(self._level + 1, len(SIZES) - 1)
        self._fast = 0
