"""The camera's way to the policy: newest frame -> pixels -> encoder -> features.

A thread of its own, so that neither a slow encoder nor a large picture delays the control tick or
the other sensors. Only the newest frame counts: one that arrives while the encoder works replaces
the one waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from liquid_control.runtime import cdr
from liquid_control.runtime.errors import LiquidControlError
from liquid_control.runtime.image import Pixels, decode_compressed, to_rgb

# A frame's pixels, its stamp (ns) and when it arrived (ns, in the time of the stamps).
FrameHandler = Callable[[Pixels, int, int], None]


class Vision:
    """Decodes frames and hands them to `on_frame`, newest first, in one worker thread."""

    def __init__(
        self,
        on_frame: FrameHandler,
        *,
        compressed: bool,
        on_error: Callable[[LiquidControlError], None],
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            on_frame: called in the worker thread with RGB pixels, stamp and arrival time.
            compressed: messages are sensor_msgs/CompressedImage instead of Image.
            on_error: told of every frame that could not be used, in the worker thread.
        """
        self._on_frame = on_frame
        self._on_error = on_error
        self.compressed = compressed
        self._waiting: tuple[bytes, int] | None = None
        self._arrived = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name='vision', daemon=True)
        self.arrived = 0
        """Frames offered."""
        self.replaced = 0
        """Frames that a newer one replaced before they were looked at."""
        self.duration_ns = 0
        """From bytes to features, of the newest frame."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the worker; returns when it is gone."""
        self._stopping = True
        self._arrived.set()
        self._thread.join()

    def offer(self, message: bytes, received_ns: int) -> None:
        """A serialized camera message; returns at once."""
        self.arrived += 1
        if self._waiting is not None:
            self.replaced += 1
        self._waiting = (message, received_ns)
        self._arrived.set()

    def _work(self) -> None:
        while True:
            self._arrived.wait()
            self._arrived.clear()
            if self._stopping:
                return
            offered, self._waiting = self._waiting, None
            if offered is not None:
                self._look(*offered)

    def _look(self, message: bytes, received_ns: int) -> None:
        started = time.perf_counter_ns()
        try:
            if self.compressed:
                compressed = cdr.read_compressed_image(message)
                rgb, stamp_ns = decode_compressed(compressed.data), compressed.stamp_ns
            else:
                raw = cdr.read_image(message)
                rgb = to_rgb(raw.encoding, raw.width, raw.height, raw.step, raw.data)
                stamp_ns = raw.stamp_ns
            self._on_frame(rgb, stamp_ns, received_ns)
        except LiquidControlError as error:
            self._on_error(error)
            return
        self.duration_ns = time.perf_counter_ns() - started
