"""The camera's way to the policy: newest frame -> pixels -> encoder -> features.

A thread of its own that waits for the camera, so that neither a slow encoder nor a large picture
delays the control tick. Only the newest frame counts: those that arrived while the encoder worked
are passed over. Whatever a frame does to decoder or encoder is told, and the next one is looked
at; a thread whose encoder never returns can be replaced once there is another encoder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.image import Pixels, decode_compressed, to_rgb
from liquid_control.runtime.sensing import cdr

# A frame's pixels, its stamp (ns) and when it arrived (ns, in the time of the stamps).
FrameHandler = Callable[[Pixels, int, int], None]
# The oldest serialized message that waits, or comes within so many seconds; None for none.
Receiver = Callable[[float], cdr.Serialized | None]
# How long the end of the thread may wait for a camera that is silent, s.
_PATIENCE = 0.1


class Vision:
    """Decodes frames and hands them to `on_frame`, newest first, in one worker thread."""

    def __init__(
        self,
        receive: Receiver,
        on_frame: FrameHandler,
        *,
        compressed: bool,
        now_ns: Callable[[], int],
        on_error: Callable[[Exception], None],
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            receive: the camera's messages, in the worker thread.
            on_frame: called in the worker thread with RGB pixels, stamp and arrival time.
            compressed: messages are sensor_msgs/CompressedImage instead of Image.
            now_ns: time of arrival, in the time of the stamps.
            on_error: told of every frame that could not be used, in the worker thread.
        """
        self._receive = receive
        self._on_frame = on_frame
        self._now_ns = now_ns
        self._on_error = on_error
        self._compressed = compressed
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
            target=self._work, args=(self._stopping,), name='vision', daemon=True
        )
        self._thread.start()

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

    def _newest(self) -> cdr.Serialized | None:
        message = self._receive(_PATIENCE)
        if message is None:
            return None
        self.arrived += 1
        while (newer := self._receive(0)) is not None:
            message = newer
            self.arrived += 1
            self.replaced += 1
        return message

    def _look(self, message: cdr.Serialized, received_ns: int, stopping: threading.Event) -> None:
        self._since_ns = started = time.perf_counter_ns()
        try:
            if self._compressed:
                compressed = cdr.read_compressed_image(message)
                rgb = decode_compressed(compressed.data, compressed.format)
                stamp_ns = compressed.stamp_ns
            else:
                raw = cdr.read_image(message)
                rgb = to_rgb(raw.encoding, raw.width, raw.height, raw.step, raw.data)
                stamp_ns = raw.stamp_ns
            self._on_frame(rgb, stamp_ns, received_ns)
        except LiquidControlError as error:
            self._on_error(error)
            return
        finally:
            if not stopping.is_set():
                self._since_ns = 0
        self.duration_ns = time.perf_counter_ns() - started
