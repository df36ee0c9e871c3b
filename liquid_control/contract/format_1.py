# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Bundles of format 1, which knew a camera, an IMU and a speed and no names.

They load as the inputs `image`, `imu` and `speed`; their graphs keep the names they had.
"""

from __future__ import annotations

from typing import Any

from liquid_control.common.errors import BundleError

ENCODER_FILE = 'encoder.onnx'
CAMERA = 'image'
CAMERA_TENSOR = 'features'
"""What core.onnx called the camera's features."""

_SENSOR = {'rate', 'max_age'}
_INPUTS = {
    CAMERA: {'width', 'height', 'source_width', 'source_height', 'crop', 'features', 'color'}
    | _SENSOR,
    'imu': _SENSOR,
    'speed': _SENSOR,
}


def to_format_2(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a policy.yaml as one of today would say it; raises BundleError."""
    if 'inputs' in document:
        raise BundleError('policy.yaml: unknown field inputs in format 1')
    inputs = {}
    for name, known in _INPUTS.items():
        entry = document.get(name)
        if entry is None:
            continue
        if not isinstance(entry, dict):
            raise BundleError(f'policy.yaml: {name} must be a mapping')
        unknown = sorted(str(key) for key in entry if key not in known)
        if unknown:
            raise BundleError(
                f'policy.yaml: {name}: unknown field {unknown[0][:60]!r}; known are '
                f'{", ".join(sorted(known))}'
            )
        inputs[name] = {'kind': name, **entry}
    rest = {key: value for key, value in document.items() if key not in _INPUTS}
    return {**rest, 'inputs': inputs}
