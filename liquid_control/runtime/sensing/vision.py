# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A camera's way to the policy: newest frame -> pixels -> encoder -> features.

Each camera has a thread of its own that waits for it, so that neither a slow encoder nor a large
image delays the control tick or another camera. Only the newest frame counts: those that arrived
while the encoder worked are passed over. Whatever a frame does to decoder or encoder is told, and
the next one is looked at; a thread whose encoder never returns can be replaced once there is
another encoder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from liquid_control.common.cdr import Serialized
from liquid_control.common.errors import LiquidControlError
from liquid_control.common.image import Pixels
from liquid_control.contract.inputs import Reader

# A frame's pixels, its stamp (ns) and when it arrived (ns, in the time of the stamps).
FrameHandler = Callable[[Pixels, int, int], None]
# The oldest serialized message that waits, or comes within so many seconds; None for none.
Receiver = Callable[[float], Serialized | None]
# How long the end of the thread may wait for a camera that is silent, s.
_PATIENCE = 0.1


class Vision:
    """Decodes frames and hands them to `on_frame`, newest first, in one worker thread."""

    def __init__(
        self,
        receive: Receiver,
        on_frame: FrameHandler,
        *,
        reader: Reader,
        msgtype: str,
        now_ns: Callable[[], int],
        on_error: Callable[[Exception], None],
        name: str = 'image',
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            receive: the camera's messages, in the worker thread.
            on_frame: called in the worker thread with RGB pixels, stamp and arrival time.
            reader: reads the camera's messages.
            msgtype: of the messages.
            now_ns: time of arrival, in the time of the stamps.
            on_error: told of every frame that could not be used, in the worker thread.
            name: of the camera.
        """
        self._receive = receive
        self._on_frame = on_frame
        self._now_ns = now_ns
        self._on_error = on_error
        self._reader = reader
        self._msgtype = msgtype
        self._name = name
        self._stopping = threading.Event()
        self._since_ns = 0
        self.arrived = 0
        """Frames received."""
        self.replaced = 0
        """Frames passed over for a newer one."""
        self.duration_ns = 0
        """From bytes to features, of the newest frame."""

    def start(self) -> None:
        """Begin to look; another worker, which may be stuck, ends after its frame."""
        self._stopping.set()
        self._stopping = threading.Event()
        self._since_ns = 0
        self._thread = threading.Thread(
            target=self._work, args=(self._stopping,), name=f'vision {self._name}', daemon=True
        )
        self._thread.start()

    def let_go(self) -> None:
        """Tell the worker to end."""
        self._stopping.set()

    def stop(self, timeout: float | None = None) -> bool:
        """End the worker; returns whether it is gone, after `timeout` s at most."""
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def busy(self) -> float:
        """For how long the newest frame has been looked at, s; 0 where none is."""
        since_ns = self._since_ns
        return (time.perf_counter_ns() - since_ns) / 1e9 if since_ns else 0.0

    def _work(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                message = self._newest()
                if message is not None:
                    self._look(message, self._now_ns(), stopping)
            except Exception as error:  # the next frame may be a good one
                self._on_error(error)
                stopping.wait(_PATIENCE)

    def _newest(self) -> Serialized | None:
        message = self._receive(_PATIENCE)
        if message is None:
            return None
        self.arrived += 1
        while (newer := self._receive(0)) is not None:
            message = newer
            self.arrived += 1
            self.replaced += 1
        return message

    def _look(self, message: Serialized, received_ns: int, stopping: threading.Event) -> None:
        self._since_ns = started = time.perf_counter_ns()
        try:
            reading = self._reader.take('', message, self._msgtype)
            if reading is not None:
                stamp_ns = received_ns if reading.stamp_ns is None else reading.stamp_ns
                self._on_frame(reading.value, stamp_ns, received_ns)
        except LiquidControlError as error:
            self._on_error(error)
            return
        finally:
            if not stopping.is_set():
                self._since_ns = 0
        self.duration_ns = time.perf_counter_ns() - started
