"""The contract of a policy bundle: what it sees, at which rate, and what it commands.

`policy.yaml` is this module's dataclasses written out. Reading is strict: an unknown format
version, a missing or unknown field or a value that cannot be is refused with the field's name.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from liquid_control.runtime.errors import BundleError
from liquid_control.runtime.records import read_record

FORMAT_VERSION = 1

IMU_SIZE = 6  # linear acceleration x y z (m/s^2), angular velocity x y z (rad/s)

# Bounds on what a bundle may ask of the runtime; bundles are data from outside.
MAX_IMAGE_PIXELS = 4096 * 4096
MAX_STATE_SIZE = 65536
MAX_FEATURES = 65536
MAX_NAME_LENGTH = 100


@dataclass(frozen=True)
class ImageSpec:
    """Camera input: which part of the picture becomes the encoder's input.

    The crop is in pixels of the camera the policy was trained on. A camera of the same aspect
    ratio and another resolution is fine, the crop is scaled; any other picture is refused.
    """

    width: int
    """Encoder input width, pixels."""
    height: int
    """Encoder input height, pixels."""
    source_width: int
    """Width of the camera picture trained on, pixels."""
    source_height: int
    crop: tuple[int, int, int, int]
    """x, y, width, height in source pixels."""
    rate: float
    """Expected frame rate, Hz."""
    max_age: float
    """The robot stops when the newest frame is older than this, s."""
    features: int
    """Size of the encoder's output."""
    color: str = 'rgb'

    def __post_init__(self) -> None:
        x, y, width, height = self.crop
        if min(self.width, self.height, width, height) < 1 or min(x, y) < 0:
            raise BundleError(
                f'image: sizes must be positive, found {self.width}x{self.height} '
                f'and crop {self.crop}'
            )
        if (
            max(self.width * self.height, self.source_width * self.source_height)
            > MAX_IMAGE_PIXELS
        ):
            raise BundleError(f'image: more than {MAX_IMAGE_PIXELS} pixels')
        if x + width > self.source_width or y + height > self.source_height:
            raise BundleError(
                f'image: crop {self.crop} must lie within the source picture '
                f'{self.source_width}x{self.source_height}'
            )
        if self.color != 'rgb':
            raise BundleError(f"image: color must be 'rgb', found {self.color!r}")
        if not 1 <= self.features <= MAX_FEATURES:
            raise BundleError(
                f'image: features must be within 1..{MAX_FEATURES}, found {self.features}'
            )
        _require_positive('image', rate=self.rate, max_age=self.max_age)


@dataclass(frozen=True)
class SensorSpec:
    """IMU or odometry input."""

    rate: float
    """Expected message rate, Hz."""
    max_age: float
    """The robot stops when the newest message is older than this, s."""

    def __post_init__(self) -> None:
        _require_positive('sensor', rate=self.rate, max_age=self.max_age)


@dataclass(frozen=True)
class CommandSpec:
    """One entry of the command vector."""

    name: str
    """steering_angle (rad, left positive), speed (m/s), yaw_rate (rad/s); steering, throttle
    (normalised, unit '1')."""
    unit: str
    min: float
    max: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min) and math.isfinite(self.max) and self.min < self.max):
            raise BundleError(
                f'command {self.name}: min must be below max and both finite, '
                f'found {self.min} and {self.max}'
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

    def __post_init__(self) -> None:
        if not 1 <= self.state_size <= MAX_STATE_SIZE:
            raise BundleError(
                f'network: state_size must be within 1..{MAX_STATE_SIZE}, found {self.state_size}'
            )


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
    image: ImageSpec | None = None
    imu: SensorSpec | None = None
    speed: SensorSpec | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    """Dataset digests, code version, seed, metrics, torch-to-ONNX-Runtime error."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if not (0 < len(self.name) <= MAX_NAME_LENGTH and self.name.isprintable()):
            raise BundleError(
                f'name must be 1 to {MAX_NAME_LENGTH} printable characters, '
                f'found {self.name[:MAX_NAME_LENGTH]!r}'
            )
        _require_positive('policy', control_rate=self.control_rate)
        shortest, longest = self.elapsed_range
        if not 0 <= shortest < longest <= 10:
            raise BundleError(
                'elapsed_range must be two increasing times within 0..10 s, '
                f'found {self.elapsed_range}'
            )
        if not self.commands:
            raise BundleError('commands must name at least one command, found none')
        if self.image is None and self.imu is None and self.speed is None:
            raise BundleError('inputs: at least one of image, imu, speed is needed, found none')

    @property
    def period_ns(self) -> int:
        """Control period in nanoseconds."""
        return round(1e9 / self.control_rate)

    @property
    def command_names(self) -> tuple[str, ...]:
        return tuple(command.name for command in self.commands)

    def core_inputs(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every input of core.onnx, all float32."""
        inputs: dict[str, tuple[int, int]] = {}
        if self.image is not None:
            inputs['features'] = (1, self.image.features)
        if self.imu is not None:
            inputs['imu'] = (1, IMU_SIZE)
        if self.speed is not None:
            inputs['speed'] = (1, 1)
        inputs['elapsed'] = (1, 1)
        inputs['state'] = (1, self.network.state_size)
        return inputs

    def core_outputs(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every output of core.onnx, all float32."""
        return {'command': (1, len(self.commands)), 'next_state': (1, self.network.state_size)}

    @classmethod
    def parse(cls, text: str) -> Contract:
        """Read the text of a policy.yaml.

        Raises:
            BundleError: the text is not a contract of this format version.
        """
        try:
            document = yaml.load(text, _Loader)
        except Exception as error:  # PyYAML raises unrelated types for scalars it cannot build
            raise BundleError(f'policy.yaml is not valid YAML: {_reason(error)}') from error
        if not isinstance(document, dict):
            raise BundleError(
                f'policy.yaml must hold a mapping, found {type(document).__name__}; export the '
                'policy again'
            )
        version = document.get('format_version')
        if version != FORMAT_VERSION:
            raise BundleError(
                f'policy.yaml has format_version {version!r}, this program reads '
                f'{FORMAT_VERSION}; export the policy again with this version, or install the one '
                'it was made with'
            )
        return read_record(cls, document, where='policy.yaml', error=BundleError)

    def dump(self, path: Path) -> None:
        """Write this contract as policy.yaml."""
        path.write_text(yaml.safe_dump(_plain(asdict(self)), sort_keys=False, width=99))


class _Loader(yaml.SafeLoader):
    """Plain data only; without aliases, by which a short text describes a huge document."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem='aliases are not accepted', problem_mark=self.get_mark()
            )
        return super().compose_node(parent, index)


def _reason(error: Exception) -> str:
    """What is wrong and where, without repeating the text: it may be any file at all."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f'{error.problem}, line {error.problem_mark.line + 1}'
    if isinstance(error, RecursionError):
        return 'nested too deeply'
    return f'a value cannot be read ({type(error).__name__})'


def _plain(value: Any) -> Any:
    """Tuples as lists, empty inputs left out: what YAML shows well."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _require_positive(where: str, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise BundleError(f'{where}: {name} must be > 0, found {value}')
