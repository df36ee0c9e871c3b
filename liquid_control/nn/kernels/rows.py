# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Rows: one for each step of each episode, in the memory order in which the inputs come."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Rows(NamedTuple):
    """Where (step, episode) lies: in row step * row_step + episode * row_batch.

    Time-first and batch-first sequences are both taken as they are; nothing is copied to turn
    them, and what comes out is laid out as what went in.
    """

    steps: int
    batch: int
    row_step: int
    row_batch: int

    @classmethod
    def of(cls, x: Tensor) -> Rows:
        """The rows of inputs [time, batch, inputs]."""
        steps, batch, _ = x.shape
        if x.transpose(0, 1).is_contiguous() and not x.is_contiguous():
            return cls(steps, batch, 1, steps)
        return cls(steps, batch, batch, 1)

    @property
    def batch_first(self) -> bool:
        return self.row_step < self.row_batch

    def empty(self, like: Tensor, width: int) -> Tensor:
        """An uninitialised tensor [time, batch, width] in this order."""
        if self.batch_first:
            return like.new_empty(self.batch, self.steps, width).transpose(0, 1)
        return like.new_empty(self.steps, self.batch, width)

    def ordered(self, tensor: Tensor) -> Tensor:
        """A tensor [time, batch, width] in this order, copied only if it is not."""
        if self.batch_first:
            return tensor.transpose(0, 1).contiguous().transpose(0, 1)
        return tensor.contiguous()

    def flat(self, tensor: Tensor) -> Tensor:
        """[rows, width] of a tensor that is in this order, without a copy."""
        if self.batch_first:
            tensor = tensor.transpose(0, 1)
        return tensor.view(self.steps * self.batch, -1)
