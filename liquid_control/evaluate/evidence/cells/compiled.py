# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A compiled step, timed as robots run it: in ONNX Runtime, on one thread."""

from __future__ import annotations

import statistics
import time

import numpy as np
import onnxruntime


class CompiledStep:
    """A graph that is run again and again on the same inputs."""

    def __init__(self, model: bytes, value: float) -> None:
        """Load an ONNX model; `value` is what all its inputs are."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model, options, providers=['CPUExecutionProvider']
        )
        self._feeds = {
            node.name: np.full(node.shape, value, np.float32)
            for node in self._session.get_inputs()
        }

    def run(self) -> None:
        """One step."""
        self._session.run(None, self._feeds)

    def time(self, count: int) -> float:
        """Median of `count` steps, µs."""
        times = []
        for _ in range(count):
            begin = time.perf_counter_ns()
            self.run()
            times.append(time.perf_counter_ns() - begin)
        return statistics.median(times) / 1e3
