# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What happens around training: lines that tell how far it is, ends that keep what was learnt."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping
from rich.console import Console

# A line at least this often, s.
EVERY = 20.0


class Progress(Callback):
    """What a person wants to know who waits: a line for each epoch, and in long ones some between.

    They stay readable in a log file, where a bar does not.

    Args:
        clock: s.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic):
        self._console = console
        self._clock = clock
        self._began = self._said = 0.0
        self._before = self._done = 0

    def on_train_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._began = self._said = self._clock()
        self._before = self._done = trainer.global_step

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._done = trainer.global_step
        if self._clock() - self._said >= EVERY:
            self._print(trainer, f'step {self._done} of {self._all(trainer)}')

    def on_validation_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self._clock() - self._said >= EVERY:
            self._print(trainer, f'step {self._done} of {self._all(trainer)}, evaluating')

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        text = '  '.join(f'{name} {value:.4f}' for name, value in values.items())
        width = len(str(trainer.max_epochs))
        epoch = trainer.current_epoch + 1
        self._print(trainer, f'epoch {epoch:{width}}/{trainer.max_epochs}  {text}')

    def _all(self, trainer: lightning.Trainer) -> int:
        return int(trainer.num_training_batches) * (trainer.max_epochs or 0)

    def _print(self, trainer: lightning.Trainer, text: str) -> None:
        self._said = now = self._clock()
        spent, steps = now - self._began, self._done - self._before
        left = spent / max(steps, 1) * (self._all(trainer) - self._done)
        if trainer.is_global_zero:
            line = f'{text}  {duration(spent)} so far, at most {duration(left)} more'
            self._console.print(line, soft_wrap=True, highlight=False)


def duration(seconds: float) -> str:
    """As people say it: '45 s', '12 min', '3.5 h'."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


class Patience(EarlyStopping):
    """Ends training when held-out recordings are not followed better for some epochs.

    Args:
        anew: of a training that is resumed with more epochs: it waits as long again.
    """

    def __init__(self, epochs: int, *, anew: bool):
        super().__init__('val_loss', patience=epochs)
        self._anew = anew

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | ({'wait_count': 0} if self._anew else {}))


class TrainingAborted(BaseException):
    """Ctrl-C in a form that Lightning passes on; a KeyboardInterrupt would end the program."""


class StopOnInterrupt(Callback):
    """Ctrl-C ends training after the current batch, and the best weights become the policy.

    Where several processes train together, all end as soon as one of them was told to.

    Args:
        keep: False: TrainingAborted is raised instead, and the last checkpoint stays for later.
        is_cancelled: asked after every batch: True is a Ctrl-C from elsewhere, likewise.
    """

    def __init__(
        self,
        console: Console,
        *,
        keep: bool = True,
        is_cancelled: Callable[[], bool] = lambda: False,
    ):
        self._is_cancelled = is_cancelled
        self._console = console
        self._keep = keep
        self._stop = False
        self._before: Any = None

    # Not earlier: at the end Lightning puts back the handlers that it found before this hook.
    def on_train_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            self._restore()  # a second Ctrl-C ends the program
            if not self._keep:
                raise TrainingAborted
            self._stop = True
            self._console.print('stopping; the best weights so far are kept (again: abort)')

        self._before = signal.signal(signal.SIGINT, stop)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self._is_cancelled():
            raise TrainingAborted
        if trainer.strategy.reduce_boolean_decision(self._stop, all=False):
            trainer.should_stop = True

    def on_train_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._restore()

    def on_exception(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
