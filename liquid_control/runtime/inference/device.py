# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A graph in the memory of a GPU: state and features stay there from one step to the next.

Small inputs are copied in before each run and the command is copied out; the state goes around
between two buffers, each the output of one run and the input of the next, and the encoder's
features are handed to the core where they are.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from liquid_control.runtime.inference.session import (
    FEATURES,
    NEXT_STATE,
    STATE,
    Array,
    BundleGraph,
    GraphSession,
)

Placement = dict[str, Counter[str]]


class DeviceArray(np.ndarray[Any, np.dtype[np.float32]]):
    """A copy in host memory of a value that is also on the device, still valid there.

    Whatever is computed from it is an ordinary value without `resident`.
    """

    resident: ort.OrtValue | None = None


class DeviceSession(GraphSession):
    """The same calls as `GraphSession`; see the module docstring for where the data are."""

    def __init__(self, session: Any, graph: BundleGraph, device: tuple[str, int]) -> None:
        """Bind a session.

        Args:
            device: ONNX Runtime's name of the memory and its number, e.g. ('cuda', 0).
        """
        self._device = device
        super().__init__(session, graph)

    def _bind(self) -> None:
        # An IO binding copies host memory to the device when it is bound, not when it runs: bound
        # once, a changed input would silently be the old one. So inputs get memory on the device.
        self._values = {name: self._on_device(buffer) for name, buffer in self._inputs.items()}
        self._features = {name: self._values[name] for name in self._graph.encoded}
        self._bindings = [self._session.io_binding()]
        self._turn = 0
        self._copy: Array | None = None  # of the state, made when somebody asks
        if STATE in self.names:
            self._bindings.append(self._session.io_binding())
            self._states = [self._values.pop(STATE), self._on_device(self._inputs[STATE])]
            for turn, binding in enumerate(self._bindings):
                binding.bind_ortvalue_input(STATE, self._states[turn])
                binding.bind_ortvalue_output(NEXT_STATE, self._states[1 - turn])
        for binding in self._bindings:
            for name, value in self._values.items():
                binding.bind_ortvalue_input(self._graph.tensor(name), value)
            for name, buffer in self._outputs.items():
                if name not in (NEXT_STATE, FEATURES):
                    self._to_host(binding, name, buffer)

    def write(self, name: str, value: Any) -> None:
        if name in self._features:
            resident = getattr(value, 'resident', None)
            self._features[name] = self._values[name] if resident is None else resident
            if resident is not None:
                return
        self._rows[name][...] = value
        self._values[name].update_inplace(self._inputs[name])

    def run(self) -> None:
        binding = self._bindings[self._turn]
        for name, value in self._features.items():
            binding.bind_ortvalue_input(self._graph.tensor(name), value)
        if FEATURES in self._outputs:
            # New memory for each frame: the core may still be reading the last one.
            buffer = self._outputs[FEATURES]
            self._newest = ort.OrtValue.ortvalue_from_shape_and_type(
                list(buffer.shape), buffer.dtype.type, *self._device
            )
            binding.bind_ortvalue_output(FEATURES, self._newest)
        self._session.run_with_iobinding(binding)
        self._turn = (self._turn + 1) % len(self._bindings)
        self._copy = None

    def read(self, name: str) -> Array:
        if name != FEATURES:
            return super().read(name)
        features: DeviceArray = self._newest.numpy()[0].view(DeviceArray)
        features.resident = self._newest
        return features

    @property
    def state(self) -> Array:
        """A copy of the recurrent state, [state_size]."""
        if self._copy is None:
            self._copy = self._states[self._turn].numpy()[0]
        return self._copy

    @state.setter
    def state(self, values: Array) -> None:
        self._rows[STATE][...] = values
        self._states[self._turn].update_inplace(self._inputs[STATE])
        self._copy = None

    def _on_device(self, buffer: NDArray[Any]) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(buffer, *self._device)


def read_placement(profile: Path) -> Placement:
    """Which provider ran which operators, from ONNX Runtime's profile.

    `get_providers` only tells which providers were loaded; this is what was done.
    """
    placement: Placement = {}
    seen = set()
    for event in json.loads(profile.read_text()):
        provider = event.get('args', {}).get('provider')
        if event.get('cat') == 'Node' and provider and event['name'] not in seen:
            seen.add(event['name'])
            placement.setdefault(provider, Counter())[event['args']['op_name']] += 1
    return placement
