# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The cameras' threads: each waits for its camera and lets the policy in charge see the frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.errors import LiquidControlError
from liquid_control.contract.inputs import InputSpec
from liquid_control.nodes.common.patient_log import PatientLog
from liquid_control.nodes.policy.sensing import CameraTopic
from liquid_control.runtime.control.controller import Controller
from liquid_control.runtime.control.runner import Frame, PolicyRunner
from liquid_control.runtime.sensing.vision import Vision

# An encoder that has worked on one frame for so long does not answer, s.
_PATIENCE = 0.5


class Cameras:
    """One thread a camera; where an encoder never returns, the others go on."""

    def __init__(
        self,
        controller: Controller,
        *,
        arrival_ns: Callable[[], int],
        time_is_known: Callable[[], bool],
        log: PatientLog,
    ) -> None:
        """Watch nothing yet.

        Args:
            arrival_ns: when a frame that comes now has arrived, in the time of the stamps.
            time_is_known: whether anybody can judge a frame's stamp yet.
        """
        self._controller = controller
        self._arrival_ns = arrival_ns
        self._time_is_known = time_is_known
        self._log = log
        self._visions: dict[str, Vision] = {}
        self._looking: dict[str, PolicyRunner] = {}

    def watch(self, cameras: Mapping[str, CameraTopic], inputs: Mapping[str, InputSpec]) -> None:
        """Start a thread for each camera; inputs: how their messages are read."""
        for name, camera in cameras.items():
            self._visions[name] = vision = Vision(
                camera.inbox.receive,
                partial(self._on_frame, name),
                reader=inputs[name].reader(),
                msgtype=camera.msgtype,
                now_ns=self._arrival_ns,
                on_error=partial(self._on_error, name),
                name=name,
            )
            vision.start()

    def stop(self, timeout: float) -> bool:
        """End the threads; returns whether all are gone, after `timeout` s each at most."""
        for vision in self._visions.values():
            vision.let_go()
        return all([vision.stop(timeout) for vision in self._visions.values()])

    def recover(self) -> bool:
        """Tell of encoders that do not answer; returns whether a thread was given up.

        A thread can be replaced once another policy, with another encoder, is in charge.
        """
        runner, abandoned = self._controller.runner, False
        for name, vision in self._visions.items():
            if vision.busy <= _PATIENCE:
                continue
            if self._looking.get(name) is runner:
                runner.does_not_answer(name)
            else:
                vision.start()
                abandoned = True
        return abandoned

    @property
    def arrived(self) -> int:
        """Frames of all cameras."""
        return sum(vision.arrived for vision in self._visions.values())

    @property
    def replaced(self) -> int:
        """Frames passed over for a newer one."""
        return sum(vision.replaced for vision in self._visions.values())

    @property
    def duration(self) -> float:
        """From bytes to features, of the newest frame of the slowest camera, s."""
        return max((vision.duration_ns for vision in self._visions.values()), default=0) / 1e9

    def __bool__(self) -> bool:
        return bool(self._visions)

    def _on_frame(
        self, name: str, rgb: NDArray[np.uint8], stamp_ns: int, received_ns: int
    ) -> None:
        """Let the policy in charge see a frame; its shadow looks for itself."""
        if not self._time_is_known():
            return
        frame, controller = Frame(rgb, stamp_ns, received_ns), self._controller
        self._looking[name] = runner = controller.runner
        try:
            runner.encode(name, frame)
        finally:
            if runner is controller.runner:
                controller.frames[name] = frame

    def _on_error(self, name: str, error: Exception) -> None:
        text = str(error).removeprefix(f'{name}: ')
        if not isinstance(error, LiquidControlError):
            text = f'{type(error).__name__}: {text}'
        self._log.warning_at_times(f'camera {name}', f'{name}: {text}')
