"""A running policy: a bundle's networks and their recurrent state.

The encoder and the core may be called from different threads (the encoder runs once per camera
frame, the core once per control tick); neither may be called from two threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquid_control.runtime.bundle import Bundle, load_bundle
from liquid_control.runtime.engine import Engine
from liquid_control.runtime.image import Pixels, Preprocessor

Array = NDArray[np.float32]


class Policy:
    """Sense with `encode`, act with `step`; see the module docstring for threads."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        providers: Sequence[str] = ('cpu',),
        provider_required: bool = False,
    ) -> None:
        self.bundle = bundle
        self.contract = bundle.contract
        self.engine = Engine(bundle, providers=providers, provider_required=provider_required)
        self.preprocess = Preprocessor(self.contract.image) if self.contract.image else None
        self.reset()

    @classmethod
    def load(cls, path: str | Path, *, providers: Sequence[str] = ('cpu',)) -> Policy:
        """Load the bundle in a directory; raises BundleError or ProviderError."""
        return cls(load_bundle(path), providers=providers)

    @property
    def state(self) -> Array:
        """Recurrent state after the last step, [state_size]."""
        state: Array = self.engine.core.inputs['state'][0]
        return state

    def reset(self) -> None:
        """Forget the past: the next step starts from the zero state."""
        self.state.fill(0)

    def encode(self, rgb: Pixels) -> Array:
        """Camera picture (RGB uint8, any size of the trained aspect ratio) -> features [F].

        Raises:
            ImageError: the picture does not fit the policy's camera geometry.
        """
        encoder = self.engine.encoder
        if encoder is None or self.preprocess is None:
            raise ValueError(f'policy {self.contract.name} has no camera input')
        encoder.inputs['image'][0] = self.preprocess(rgb)
        encoder.run()
        features: Array = encoder.outputs['features'][0].copy()
        return features

    def step(
        self,
        *,
        elapsed: float,
        features: Array | None = None,
        imu: Array | None = None,
        speed: float | None = None,
    ) -> Array:
        """One step of the core network.

        Args:
            elapsed: time since the previous step, s.
            features: [F] of the newest camera frame.
            imu: linear acceleration x y z (m/s^2), angular velocity x y z (rad/s).
            speed: m/s.

        Returns:
            Command [C] in the contract's order and units; not yet limited.
        """
        core = self.engine.core
        inputs = core.inputs
        for name, value in (('features', features), ('imu', imu), ('speed', speed)):
            if name in inputs:
                if value is None:
                    raise ValueError(f'policy {self.contract.name} needs the input {name}')
                inputs[name][0] = value
        inputs['elapsed'][0, 0] = elapsed
        core.run()
        inputs['state'][:] = core.outputs['next_state']
        command: Array = core.outputs['command'][0].copy()
        return command
