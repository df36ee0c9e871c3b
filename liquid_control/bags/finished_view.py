"""An unfinished MCAP file, shown to rosbags as if its writer had closed it.

The file is left as it is: what it lacks is taken from memory.
"""

import io
import os
from typing import Any, BinaryIO

from liquid_control.bags.recovery import Recovered


class FinishedView:
    """An unfinished MCAP file, shown to rosbags as if its writer had closed it."""

    def __init__(self, recovered: Recovered) -> None:
        self._recovered = recovered
        self.suffix = recovered.path.suffix
        self.stem = recovered.path.stem

    def __str__(self) -> str:
        return str(self._recovered.path)

    def exists(self) -> bool:
        return True

    def is_dir(self) -> bool:
        return False

    def open(self, mode: str) -> BinaryIO:
        return io.BufferedReader(_FinishedStream(self._recovered), 1 << 16)


class _FinishedStream(io.RawIOBase):
    """The whole part of a file, followed by the ending that it lacks."""

    def __init__(self, recovered: Recovered) -> None:
        self._file = recovered.path.open('rb', buffering=0)
        self._whole = recovered.end
        self._ending = recovered.ending
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = self._whole + len(self._ending)
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast('B')
        if self._position < self._whole:
            self._file.seek(self._position)
            count = self._file.readinto(view[: self._whole - self._position]) or 0
        else:
            at = self._position - self._whole
            part = self._ending[at : at + len(view)]
            count = len(part)
            view[:count] = part
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
