# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The table of inputs: every kind of sensor that a policy can see, one entry each.

A kind says everything about itself (see `base.InputSpec`); contract, runtime, training and
recipes are written against this table and name no sensor. Nothing here knows ROS, ONNX Runtime or
torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.records import read_record
from liquid_control.contract import bounds
from liquid_control.contract.inputs.base import (
    Element,
    InputSpec,
    Reader,
    Reading,
    Source,
)
from liquid_control.contract.inputs.goal import GoalSpec
from liquid_control.contract.inputs.image import ImageSpec
from liquid_control.contract.inputs.imu import ImuSpec
from liquid_control.contract.inputs.joints import JointsSpec
from liquid_control.contract.inputs.moving import MovingSpec
from liquid_control.contract.inputs.odometry import SpeedSpec, VelocitySpec
from liquid_control.contract.inputs.rangefinder import RangeSpec
from liquid_control.contract.inputs.scan import ScanSpec
from liquid_control.contract.inputs.vector import VectorSpec

__all__ = [
    'KINDS',
    'Element',
    'GoalSpec',
    'ImageSpec',
    'ImuSpec',
    'InputSpec',
    'JointsSpec',
    'MovingSpec',
    'RangeSpec',
    'Reader',
    'Reading',
    'ScanSpec',
    'Source',
    'SpeedSpec',
    'VectorSpec',
    'VelocitySpec',
    'check_names',
    'plain_inputs',
    'read_inputs',
]

KINDS: dict[str, type[InputSpec]] = {
    spec.kind: spec
    for spec in (
        ImageSpec,
        ImuSpec,
        SpeedSpec,
        VelocitySpec,
        GoalSpec,
        MovingSpec,  # before the kind whose topic it shares
        ScanSpec,
        RangeSpec,
        JointsSpec,
        VectorSpec,
    )
}

# Other tensors of the graphs, an encoder's output among them, and other topics of a recording.
RESERVED = ('elapsed', 'state', 'command', 'next_state', 'features', 'mode', 'override')
_NAME = re.compile('[a-z][a-z0-9_]{0,30}')


def check_names(
    inputs: Mapping[str, InputSpec], *, where: str, error: type[LiquidControlError]
) -> None:
    """Refuse too many inputs, none, and names that a graph or a topic could not have."""
    bounds.check(where, error, inputs=len(inputs))
    for name in inputs:
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise error(
                f'{where}: an input is named by up to 31 small letters, digits and _, and not '
                f'{", ".join(RESERVED)}; found {name[:60]!r}'
            )


def read_inputs(
    document: Any, *, where: str, error: type[LiquidControlError]
) -> dict[str, InputSpec]:
    """Inputs by name, from a mapping of mappings that each name their kind.

    Args:
        where: how messages name the document, e.g. 'policy.yaml: inputs'.
        error: what to raise for whatever cannot be.
    """
    if not isinstance(document, dict):
        raise error(f'{where} must be a mapping of names, found {type(document).__name__}')
    inputs = {}
    for name, entry in document.items():
        at = f'{where}.{str(name)[:60]}'
        if not isinstance(entry, dict):
            raise error(f'{at} must be a mapping, found {type(entry).__name__}')
        options = dict(entry)
        kind = options.pop('kind', None)
        spec = KINDS.get(kind) if isinstance(kind, str) else None
        if spec is None:
            raise error(f'{at}: kind must be one of {", ".join(KINDS)}, found {str(kind)[:60]!r}')
        inputs[str(name)] = read_record(spec, options, where=at, error=error)
    check_names(inputs, where=where, error=error)
    return inputs


def plain_inputs(inputs: Mapping[str, InputSpec]) -> dict[str, dict[str, Any]]:
    """As `read_inputs` reads it; empty topics are left out."""
    return {
        name: {
            'kind': spec.kind,
            **{
                entry.name: list(value) if isinstance(value, tuple) else value
                for entry in fields(spec)
                if (value := getattr(spec, entry.name)) != ''
            },
        }
        for name, spec in inputs.items()
    }
