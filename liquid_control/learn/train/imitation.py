# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Imitation: the policy learns to give the commands that the recorded driver gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import lightning
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from liquid_control.learn.data.sequences import Steps
from liquid_control.learn.export.parity import run_network
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.scores import scores
from liquid_control.nn.ensemble import AnyPolicy
from liquid_control.nn.policy import PolicyNetwork


def origin(recipe: Recipe, data: str) -> dict[str, Any]:
    """What a checkpoint says of where it comes from: all that decides it, and how far it goes."""
    same = replace(recipe, fit=replace(recipe.fit, epochs=1))
    return {'recipe': repr(same), 'data': data, 'epochs': recipe.fit.epochs}


class Imitation(lightning.LightningModule):
    """Squared error between given and recorded commands, weighted by who drove.

    Each in shares of its spread, so that one that varies little is learnt as well as another.
    Held-out episodes run from start to end in one sequence, as on a robot. The members of an
    ensemble see windows of their own and have losses of their own: they err apart, so their mean
    errs less.

    Args:
        scale: [C], by what errors are divided, in the commands' units.
        data: what is learnt from; a checkpoint of other data is not gone on with.

    Attributes:
        network: what is trained.
    """

    def __init__(self, network: AnyPolicy, recipe: Recipe, scale: Sequence[float], data: str = ''):
        super().__init__()
        self.network = network
        self.recipe = recipe
        self._data = data
        commands = recipe.signals.commands
        self._low, self._high = network.members[0].low, network.members[0].high
        self._scale = torch.tensor(scale, dtype=torch.float32)
        weights = recipe.fit.command_weights or (1.0,) * len(commands)
        self._weights = torch.tensor(weights)
        self._evaluated: list[tuple[Tensor, Tensor, Tensor]] = []

    def training_step(self, batch: Steps, index: int) -> Tensor:
        members = self.network.members
        count = len(members)
        losses = [
            self._loss_of(member, batch.share(index, count))
            for index, member in enumerate(members)
        ]
        total = torch.stack(losses).sum()
        self.log(
            'loss',
            total.detach() / count,
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.elapsed),
            sync_dist=True,
        )
        return total

    def on_train_batch_start(self, batch: Steps, index: int) -> None:
        # Dropout draws from the global generator: a resumed run must find it as it was.
        seed = self.recipe.fit.seed * 1_000_003 + self.global_step
        torch.manual_seed(seed + self.global_rank * 1_000_000_007)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Each member as if it were alone.
        for member in self.network.members:
            torch.nn.utils.clip_grad_norm_(member.parameters(), self.recipe.fit.clip)

    def validation_step(self, episode: Steps, index: int) -> None:
        given = torch.from_numpy(run_network(self.network, episode))
        self._evaluated.append((given, episode.commands.cpu(), episode.weights.cpu()))

    def on_validation_epoch_end(self) -> None:
        given, recorded, weights = (
            torch.cat(parts) for parts in zip(*self._evaluated, strict=True)
        )
        self._evaluated.clear()
        self.log('val_loss', self._chosen_by(given, recorded, weights), sync_dist=True)
        for command, score in scores(given, recorded, self.recipe.signals.commands).items():
            if isinstance(score['r2'], float):
                self.log(f'r2_{command}', score['r2'], sync_dist=True)

    def transfer_batch_to_device(self, batch: Steps, device: torch.device, index: int) -> Steps:
        return batch.map(lambda tensor: tensor.to(device))

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler]]:
        fit = self.recipe.fit
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay
        )

        # Of the epoch alone: resumed with more epochs, a training goes on along their curve.
        def share(epoch: int) -> float:
            return (1 + math.cos(math.pi * epoch / fit.epochs)) / 2

        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, share)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= origin(self.recipe, self._data)

    def _chosen_by(self, given: Tensor, recorded: Tensor, weights: Tensor) -> Tensor:
        """What the weights are chosen by: each command's error in shares of its variance.

        One that is not followed at all must not hide what becomes of the others: beyond its
        variance, which a constant would reach, its error counts hardly more.
        """
        known = torch.isfinite(recorded) * weights[:, None]
        shares = (given - self._wanted(recorded)).cpu() / self._scale
        shares = (shares.square() * known).sum(dim=0) / known.sum(dim=0).clamp(min=1e-9)
        shares = torch.where(shares > 1, 1.1 - 0.1 / shares.clamp(min=1), shares)
        return (shares * self._weights).sum() / self._weights.sum().clamp(min=1e-9)

    def _wanted(self, recorded: Tensor) -> Tensor:
        """No command can go beyond its range: what was recorded there is as good as its end."""
        low, high = (end.to(recorded.device) for end in (self._low, self._high))
        return recorded.nan_to_num().clamp(low, high)

    def _loss_of(self, member: PolicyNetwork, batch: Steps) -> Tensor:
        commands, _ = member(batch.inputs, batch.elapsed)
        settle = self.recipe.timing.settle
        return self._loss(
            commands[:, settle:], batch.commands[:, settle:], batch.weights[:, settle:]
        )

    def _loss(self, given: Tensor, recorded: Tensor, weights: Tensor) -> Tensor:
        """Mean over what is known; weights add to it, so that a correction pulls harder."""
        known = torch.isfinite(recorded)
        error = (given - self._wanted(recorded)) / self._scale.to(given.device)
        squared = error.square() * known * self._weights.to(given.device) * weights[..., None]
        # Of all processes: their gradients are averaged, as if one had had the whole batch.
        counts = cast(Tensor, self.all_gather(known.sum()))
        return squared.sum() / counts.float().mean().clamp(min=1)
