"""What happens around training: a line per epoch, and an end that keeps what was learnt."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console


class EpochLines(Callback):
    """One line for each epoch; they stay readable in a log file, where a bar does not."""

    def __init__(self, console: Console):
        self._console = console

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        text = '  '.join(f'{name} {value:.4f}' for name, value in values.items())
        if trainer.is_global_zero:
            width = len(str(trainer.max_epochs))
            epoch = trainer.current_epoch + 1
            line = f'epoch {epoch:{width}}/{trainer.max_epochs}  {text}'
            self._console.print(line, soft_wrap=True)


class TrainingAborted(BaseException):
    """Ctrl-C in a form that Lightning passes on; a KeyboardInterrupt would end the program."""


class StopOnInterrupt(Callback):
    """Ctrl-C ends training after the current batch, and the best weights become the policy.

    Where several processes train together, all end as soon as one of them was told to.

    Args:
        keep: False: TrainingAborted is raised instead, and the last checkpoint stays for later.
    """

    def __init__(self, console: Console, *, keep: bool = True):
        self._console = console
        self._keep = keep
        self._stop = False
        self._before: Any = None

    # Not earlier: at the end Lightning puts back the handlers that it found before this hook.
    def on_train_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            self._restore()  # a second Ctrl-C ends the program
            if not self._keep:
                raise TrainingAborted
            self._stop = True
            self._console.print('stopping; the best weights so far are kept (again: abort)')

        self._before = signal.signal(signal.SIGINT, stop)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
    ) -> None:
        if trainer.strategy.reduce_boolean_decision(self._stop, all=False):
            trainer.should_stop = True

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._restore()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
