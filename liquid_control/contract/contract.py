# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The contract of a policy bundle: what it sees, at which rate, and what it commands.

`policy.yaml` is this module's dataclasses written out. Reading is strict: an unknown format
version, a missing or unknown field or a value that cannot be is refused with the field's name.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from liquid_control.common.errors import BundleError
from liquid_control.common.plain_yaml import read_yaml
from liquid_control.common.records import read_record
from liquid_control.contract import bounds
from liquid_control.contract.commands import axis_of, check_limits, check_together
from liquid_control.contract.format_1 import to_format_2
from liquid_control.contract.inputs import InputSpec, check_names, plain_inputs, read_inputs
from liquid_control.contract.inputs.image import ImageSpec

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
_SHA256 = re.compile('[0-9a-f]{64}')

# Of the robot that a policy learnt from, in its provenance.
WHEELBASE = 'wheelbase, m'

MAX_NAME_LENGTH = 100
MAX_CONFIG_ENTRIES = 32
MAX_CONFIG_NUMBER = 2**53


@dataclass(frozen=True)
class CommandSpec:
    """One entry of the command vector."""

    name: str
    """An axis of the table in contract/commands.py, or of a joint."""
    unit: str
    min: float
    max: float

    def __post_init__(self) -> None:
        for what, text in (('name', self.name), ('unit', self.unit)):
            _check_text(f'command: {what}', text)
        where = f'command {self.name}: min and max'
        check_limits(where, self.name, BundleError, self.min, self.max)
        units = axis_of(self.name).units
        if self.unit not in units:
            raise BundleError(
                f'command {self.name}: unit must be {" or ".join(units)}, found {self.unit!r}'
            )
        if not self.min < self.max:
            raise BundleError(
                f'command {self.name}: min must be below max, found {self.min} and {self.max}'
            )


@dataclass(frozen=True)
class NetworkSpec:
    """What the network is, for people; only `state_size` is used to run it."""

    cell: str
    """e.g. 'ltc', 'cfc-wired'."""
    neurons: int
    synapses: int
    parameters: int
    """Encoder and core together."""
    state_size: int
    solver: str = ''
    config: dict[str, Any] = field(default_factory=dict)
    """What the network can be built from again, for training; plain data, not checked here."""

    def __post_init__(self) -> None:
        _check(
            'network',
            neurons=self.neurons,
            synapses=self.synapses,
            parameters=self.parameters,
            state_size=self.state_size,
        )
        _check_plain('network: config', self.config)

    @property
    def members(self) -> int:
        """Networks whose commands are averaged."""
        found = self.config.get('members', 1)
        return found if isinstance(found, int) else 1


@dataclass(frozen=True)
class Contract:
    """Everything a runtime must know to run a policy safely; see the module docstring."""

    name: str
    control_rate: float
    """Hz; the rate the policy was trained at."""
    elapsed_range: tuple[float, float]
    """Shortest and longest time between steps the policy was validated for, s."""
    commands: tuple[CommandSpec, ...]
    network: NetworkSpec
    opset: int
    hashes: dict[str, str]
    """File name -> sha256 in hexadecimal, of every graph of the bundle."""
    inputs: dict[str, InputSpec]
    """What it sees, by name; the core takes them in this order."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Dataset digests, code version, seed, metrics, torch-to-ONNX-Runtime error."""
    format_version: int = FORMAT_VERSION
    """Of the bundle: how its files and the tensors in them are named."""

    def __post_init__(self) -> None:
        _check_text('name', self.name)
        shortest, longest = self.elapsed_range
        _check('policy', control_rate=self.control_rate, opset=self.opset)
        for elapsed in self.elapsed_range:
            _check('policy', elapsed_range=elapsed)
        if not shortest < longest:
            raise BundleError(
                f'elapsed_range must be two increasing times, found {self.elapsed_range}'
            )
        _check('policy', commands=len(self.commands))
        check_together(self.command_names, BundleError)
        for name, digest in self.hashes.items():
            if not _SHA256.fullmatch(digest):
                raise BundleError(f'hashes: {name} must be the 64 hexadecimal digits of a sha256')
        check_names(self.inputs, where='inputs', error=BundleError)

    @property
    def period_ns(self) -> int:
        """Control period in nanoseconds."""
        return round(1e9 / self.control_rate)

    @property
    def command_names(self) -> tuple[str, ...]:
        return tuple(command.name for command in self.commands)

    @property
    def wheelbase(self) -> float | None:
        """Of the robot that it learnt from, m, where the provenance tells it."""
        found = self.provenance.get(WHEELBASE)
        least, most = bounds.BOUNDS['wheelbase']
        return found if isinstance(found, float) and least <= found <= most else None

    @property
    def images(self) -> dict[str, ImageSpec]:
        """The inputs that have an encoder of their own, which runs once a frame."""
        return {name: spec for name, spec in self.inputs.items() if isinstance(spec, ImageSpec)}

    def core_inputs(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every input of core.onnx, all float32."""
        inputs = {
            name: (1, spec.features if isinstance(spec, ImageSpec) else spec.width)
            for name, spec in self.inputs.items()
        }
        return {**inputs, 'elapsed': (1, 1), 'state': (1, self.network.state_size)}

    def core_outputs(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every output of core.onnx, all float32."""
        return {'command': (1, len(self.commands)), 'next_state': (1, self.network.state_size)}

    @classmethod
    def parse(cls, text: str | bytes) -> Contract:
        """Read the text of a policy.yaml.

        Raises:
            BundleError: the text is not a contract of this format version.
        """
        document = read_yaml(text, where='policy.yaml', error=BundleError)
        if not isinstance(document, dict):
            raise BundleError(
                f'policy.yaml must hold a mapping, found {type(document).__name__}; export the '
                'policy again'
            )
        version = document.get('format_version')
        if type(version) is not int or version not in READABLE_VERSIONS:
            raise BundleError(
                f'policy.yaml has format_version {str(version)[:40]!r}, this program reads '
                f'{", ".join(map(str, READABLE_VERSIONS))}; export the policy again with this '
                'version, or install the one it was made with'
            )
        if version == 1:
            document = to_format_2(document)
        if 'inputs' in document:
            where = 'policy.yaml: inputs'
            inputs = read_inputs(document['inputs'], where=where, error=BundleError)
            document = {**document, 'inputs': inputs}
        return read_record(cls, document, where='policy.yaml', error=BundleError)

    def dump(self, path: Path) -> None:
        """Write this contract as policy.yaml, for graphs of today's names."""
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f'contracts of format {self.format_version} are only read')
        document = {**asdict(self), 'inputs': plain_inputs(self.inputs)}
        path.write_text(yaml.safe_dump(_plain(document), sort_keys=False, width=99))


def _plain(value: Any) -> Any:
    """Tuples as lists: what YAML shows well."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _check(where: str, **values: float) -> None:
    bounds.check(where, BundleError, **values)


def _check_text(what: str, text: str) -> None:
    """A word for people and messages: printable, and not endless."""
    if not (0 < len(text) <= MAX_NAME_LENGTH and text.isprintable()):
        raise BundleError(
            f'{what} must be 1 to {MAX_NAME_LENGTH} printable characters, '
            f'found {text[:MAX_NAME_LENGTH]!r}'
        )


def _check_plain(where: str, values: dict[str, Any]) -> None:
    """A few short names, each with a word, a number or a short list of them."""
    if len(values) > MAX_CONFIG_ENTRIES:
        raise BundleError(
            f'{where} must have at most {MAX_CONFIG_ENTRIES} entries, found {len(values)}'
        )
    for name, value in values.items():
        items = value if isinstance(value, list) else [value]
        if len(name) > MAX_NAME_LENGTH or len(items) > MAX_CONFIG_ENTRIES:
            raise BundleError(f'{where}: {name[:MAX_NAME_LENGTH]} is too long')
        for item in items:
            if isinstance(item, str):
                plain = len(item) <= MAX_NAME_LENGTH and item.isprintable()
            else:
                plain = isinstance(item, bool | int | float) and abs(item) <= MAX_CONFIG_NUMBER
            if not plain:
                raise BundleError(
                    f'{where}: {name} must be a short text or a number, or a list of them, '
                    f'found {str(item)[:MAX_NAME_LENGTH]!r}'
                )
