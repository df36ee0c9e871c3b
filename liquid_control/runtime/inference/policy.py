# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A running policy: a bundle's networks and their recurrent state.

Every encoder and the core may be called from threads of their own (an encoder runs once a frame of
its camera, the core once a control tick); none of them may be called from two threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from liquid_control.common.errors import BundleError
from liquid_control.common.image import Pixels
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.runtime.inference.attention import Attention
from liquid_control.runtime.inference.backend import Backend, OnStatus, log
from liquid_control.runtime.inference.providers import ProviderOptions
from liquid_control.runtime.inference.session import Array
from liquid_control.runtime.sensing.image import Preprocessor


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
        self.preprocess = {name: Preprocessor(spec) for name, spec in self.contract.images.items()}
        """By image input."""
        self.attention: dict[str, Attention] = {}
        """Where its encoders look, by image input; see `open_attention`."""
        self.attention_problem = ''
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

    def encode(self, name: str, rgb: Pixels) -> Array:
        """Frame of the image input `name` (RGB uint8, any size of its aspect ratio) -> [F].

        Raises:
            ImageError: the image does not fit the policy's camera geometry.
        """
        return self.encode_input(name, self.preprocess[name](rgb))

    def encode_input(self, name: str, pixels: Pixels) -> Array:
        """What `preprocess[name]` made of a camera image -> features [F]."""
        return self.backend.encode(name, pixels)

    def open_attention(self) -> None:
        """Make `attention` ready; where an encoder shows none, `attention_problem` says why."""
        for name in self.preprocess:
            try:
                self.attention[name] = Attention(self.bundle, name)
            except BundleError as error:
                self.attention_problem = str(error)

    def step(self, inputs: Mapping[str, Array], elapsed: float) -> Array:
        """One step of the core network.

        Args:
            inputs: by name, in SI units [width]; of an image its features [F].
            elapsed: time since the previous step, s.

        Returns:
            Command [C] in the contract's order and units; not yet limited.
        """
        return self.backend.step(inputs, elapsed)
