# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""From message bytes to a policy's observation, live and replayed: read, judge, keep the newest.

Bytes become a reading (`InputSpec.reader`), what is implausible is refused (`InputSpec.refusal`),
and the rest goes into the slot that the next tick looks at (`Sensors`). An image makes a detour:
it is read here, and what its encoder made of it is put into its slot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from liquid_control.common.cdr import Serialized
from liquid_control.common.errors import SensorError
from liquid_control.contract.inputs import InputSpec, Reading
from liquid_control.runtime.sensing.observation import Sensors


class Ingest:
    """The inputs of one policy; of each input one thread at a time calls it."""

    def __init__(self, inputs: Mapping[str, InputSpec]) -> None:
        self.inputs = dict(inputs)
        self.sensors = Sensors(inputs)
        self._readers = {name: spec.reader() for name, spec in inputs.items()}
        self._kept: dict[tuple[str, str], tuple[Serialized, str]] = {}
        """What does not grow old, such as a goal: input and role -> message and type."""
        self._lasting = {
            (name, source.role)
            for name, spec in inputs.items()
            for source in spec.sources(name)
            if not source.leading
        }
        self._routes: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for name, spec in inputs.items():
            if spec.encoder != 'image':
                for source in spec.sources(name):
                    for msgtype, topic in source.topics().items():
                        self._routes.setdefault((topic, msgtype), []).append((name, source.role))

    def read(self, name: str, role: str, message: Serialized, msgtype: str) -> Reading | None:
        """What is known with a message, not judged yet; None where it only adds to the next.

        Raises:
            SensorError: it says nothing that could be used.
        """
        if (name, role) in self._lasting:
            self._kept[name, role] = message, msgtype
        try:
            return self._readers[name].take(role, message, msgtype)
        except SensorError as error:
            self.sensors.slots[name].refuse(str(error))

    def take(
        self,
        name: str,
        role: str,
        message: Serialized,
        msgtype: str,
        received_ns: int,
        *,
        now_ns: int | None = None,
    ) -> None:
        """Put what a message says into its slot; not for images.

        Args:
            received_ns: when it arrived, in the time of the stamps.
            now_ns: the same without what is granted to a clock that lags behind: the stamp of a
                message that has none.

        Raises:
            SensorError: it must not reach the policy.
        """
        reading = self.read(name, role, message, msgtype)
        if reading is not None:
            if reading.stamp_ns is None:
                reading = Reading(received_ns if now_ns is None else now_ns, reading.value)
            self.sensors.put(name, reading, received_ns)

    def deliver(
        self, topic: str, msgtype: str, message: Serialized, received_ns: int, now_ns: int
    ) -> Sequence[SensorError]:
        """`take` a message for every input that listens to its topic; returns the refusals."""
        refusals: list[SensorError] = []
        for name, role in self._routes.get((topic, msgtype), ()):
            try:
                self.take(name, role, message, msgtype, received_ns, now_ns=now_ns)
            except SensorError as error:
                refusals.append(error)
        return refusals

    def clear(self) -> None:
        """Forget everything, for a clock that went back."""
        self._readers = {name: spec.reader() for name, spec in self.inputs.items()}
        self._kept.clear()
        self.sensors.clear()

    def share(self, other: Ingest) -> None:
        """Take over what another policy's inputs know."""
        for (name, role), (message, msgtype) in other._kept.items():
            if name in self.inputs and self.inputs[name].reads_like(other.inputs[name]):
                with contextlib.suppress(SensorError):  # it was refused there too
                    self.read(name, role, message, msgtype)
        self.sensors.share(other.sensors)
