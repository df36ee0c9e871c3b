"""A running policy: a bundle's networks and their recurrent state.

The encoder and the core may be called from different threads (the encoder runs once per camera
frame, the core once per control tick); neither may be called from two threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liquid_control.common.image import Pixels
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.runtime.inference.backend import Backend, OnStatus, log
from liquid_control.runtime.inference.providers import ProviderOptions
from liquid_control.runtime.sensing.image import Preprocessor

Array = NDArray[np.float32]


class Policy:
    """Sense with `encode`, act with `step`; see the module docstring for threads."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        providers: Sequence[str] = ('cpu',),
        provider_required: bool = False,
        provider_options: ProviderOptions | None = None,
        on_status: OnStatus = log,
        may_build: bool = True,
    ) -> None:
        """Load, check and warm up; see `Backend` for the arguments."""
        self.bundle = bundle
        self.contract = bundle.contract
        self.backend = Backend(
            bundle,
            providers=providers,
            provider_required=provider_required,
            options=provider_options,
            on_status=on_status,
            may_build=may_build,
        )
        self.preprocess = Preprocessor(self.contract.image) if self.contract.image else None
        self._zeros = np.zeros(self.contract.network.state_size, np.float32)
        self.reset()

    @classmethod
    def load(cls, path: str | Path, *, providers: Sequence[str] = ('cpu',)) -> Policy:
        """Load the bundle in a directory; raises BundleError or ProviderError."""
        return cls(load_bundle(path), providers=providers)

    @property
    def state(self) -> Array:
        """Recurrent state after the last step, [state_size]; set it to go on from elsewhere."""
        return self.backend.core.state

    @state.setter
    def state(self, values: Array) -> None:
        self.backend.core.state = values

    def reset(self) -> None:
        """Forget the past: the next step starts from the zero state."""
        self.state = self._zeros

    def encode(self, rgb: Pixels) -> Array:
        """Camera picture (RGB uint8, any size of the trained aspect ratio) -> features [F].

        Raises:
            ImageError: the picture does not fit the policy's camera geometry.
        """
        if self.preprocess is None:
            raise ValueError(f'policy {self.contract.name} has no camera input')
        return self.encode_input(self.preprocess(rgb))

    def encode_input(self, pixels: Pixels) -> Array:
        """What `preprocess` made of a camera picture -> features [F]."""
        encoder = self.backend.encoder
        if encoder is None:
            raise ValueError(f'policy {self.contract.name} has no camera input')
        encoder.write('image', pixels)
        encoder.run()
        return encoder.read('features')

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
        core = self.backend.core
        for name, value in (('features', features), ('imu', imu), ('speed', speed)):
            if name in core.names:
                if value is None:
                    raise ValueError(f'policy {self.contract.name} needs the input {name}')
                core.write(name, value)
        core.write('elapsed', elapsed)
        core.run()
        return core.read('command')
