"""ONNX Runtime behind a policy: two sessions, checked against the contract, warm before use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from liquid_control.runtime.bundle import CORE_FILE, ENCODER_FILE, Bundle
from liquid_control.runtime.errors import BundleError, ProviderError

PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}
WARM_UP_RUNS = 5

_DTYPES: dict[str, type[np.generic]] = {'tensor(float)': np.float32, 'tensor(uint8)': np.uint8}


def select_providers(requested: Sequence[str], available: Sequence[str]) -> list[str]:
    """The requested providers that this machine has, by ONNX Runtime's names, the CPU last.

    Raises:
        ProviderError: a requested name is unknown.
    """
    unknown = [name for name in requested if name not in PROVIDERS]
    if unknown or not requested:
        raise ProviderError(
            f'providers must be a list of {", ".join(PROVIDERS)}, found {list(requested)}'
        )
    chosen = [PROVIDERS[name] for name in requested if PROVIDERS[name] in available]
    return list(dict.fromkeys([*chosen, PROVIDERS['cpu']]))


class Session:
    """One graph with buffers allocated once: write into `inputs`, `run`, read `outputs`.

    Binding numpy memory to the session leaves nothing to convert or allocate in a call.
    """

    def __init__(
        self,
        model: bytes,
        inputs: Mapping[str, tuple[tuple[int, ...], type[np.generic]]],
        outputs: Mapping[str, tuple[tuple[int, ...], type[np.generic]]],
        *,
        where: str,
        providers: Sequence[str],
        threads: int,
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Every value in memory of its own: planning for reuse costs a small graph 8 % of its time.
        options.enable_mem_reuse = False
        # A spinning pool would take the cores that the sensors need.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = ort.InferenceSession(model, options, providers=list(providers))
        except Exception as error:  # ONNX Runtime raises many unrelated types
            raise BundleError(f'{where} cannot be loaded by ONNX Runtime: {error}') from error
        self.provider: str = self._session.get_providers()[0]
        _check_signature(where, 'inputs', self._session.get_inputs(), inputs)
        _check_signature(where, 'outputs', self._session.get_outputs(), outputs)
        self.inputs = {name: np.zeros(shape, dtype) for name, (shape, dtype) in inputs.items()}
        self.outputs = {name: np.zeros(shape, dtype) for name, (shape, dtype) in outputs.items()}
        self._binding = self._session.io_binding()
        for name, buffer in self.inputs.items():
            self._binding.bind_input(
                name, 'cpu', 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data
            )
        for name, buffer in self.outputs.items():
            self._binding.bind_output(
                name, 'cpu', 0, buffer.dtype.type, buffer.shape, buffer.ctypes.data
            )

    def run(self) -> None:
        """Compute `outputs` from `inputs`, both in place."""
        self._session.run_with_iobinding(self._binding)

    def warm_up(self) -> None:
        """Run a few times on zeros, so that the first real call is as fast as the others."""
        for _ in range(WARM_UP_RUNS):
            self.run()


class Engine:
    """The encoder and core sessions of one bundle."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        providers: Sequence[str] = ('cpu',),
        provider_required: bool = False,
        threads: int = 1,
    ) -> None:
        """Load, check and warm up.

        Args:
            providers: in order of preference, names of `PROVIDERS`.
            provider_required: refuse to run when the first provider is not the one in use.
            threads: of each session; one is fastest for networks of this size.

        Raises:
            BundleError: a graph does not load or disagrees with the contract.
            ProviderError: the provider is unknown, or required and not in use.
        """
        contract = bundle.contract
        chosen = select_providers(providers, ort.get_available_providers())
        f32, u8 = np.float32, np.uint8
        self.encoder: Session | None = None
        if contract.image is not None and bundle.encoder is not None:
            image = contract.image
            self.encoder = Session(
                bundle.encoder,
                {'image': ((1, image.height, image.width, 3), u8)},
                {'features': ((1, image.features), f32)},
                where=str(bundle.path / ENCODER_FILE),
                providers=chosen,
                threads=threads,
            )
        self.core = Session(
            bundle.core,
            {name: (shape, f32) for name, shape in contract.core_inputs().items()},
            {name: (shape, f32) for name, shape in contract.core_outputs().items()},
            where=str(bundle.path / CORE_FILE),
            providers=chosen,
            threads=threads,
        )
        self.provider = (self.encoder or self.core).provider
        asked = PROVIDERS[providers[0]]
        self.warning = ''
        if self.provider != asked:
            self.warning = (
                f'asked for the provider {providers[0]}, but ONNX Runtime uses {self.provider}; '
                f'this build offers {", ".join(ort.get_available_providers())}: install the '
                'onnxruntime package for your device'
            )
            if provider_required:
                raise ProviderError(self.warning)
        for session in (self.encoder, self.core):
            if session is not None:
                session.warm_up()


def _check_signature(
    where: str,
    side: str,
    found: Sequence[Any],
    expected: Mapping[str, tuple[tuple[int, ...], type[np.generic]]],
) -> None:
    """Names, shapes and types of a graph's inputs or outputs must be the contract's."""
    actual = {node.name: (tuple(node.shape), _DTYPES.get(node.type)) for node in found}
    if actual != dict(expected):
        raise BundleError(
            f'{where}: {side} disagree with policy.yaml: expected {_describe(expected)}, '
            f'found {_describe(actual)}; export the bundle again'
        )


def _describe(signature: Mapping[str, tuple[tuple[Any, ...], type[np.generic] | None]]) -> str:
    return ', '.join(
        f'{name} {dtype.__name__ if dtype else "?"}{list(shape)}'
        for name, (shape, dtype) in sorted(signature.items())
    )
