# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the policy node; config/policy.yaml gives each value with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from liquid_control.common.errors import ConfigError
from liquid_control.contract import bounds
from liquid_control.nodes.common.parameters import parameter
from liquid_control.nodes.policy.commands import COMMAND_TYPES, PASSIVE_LISTENERS


def age_limits(texts: Sequence[str]) -> dict[str, float]:
    """Input -> longest age, s, from texts such as 'imu=0.05'.

    Raises:
        ConfigError: one of them says something else.
    """
    limits = {}
    for text in texts:
        name, _, seconds = text.partition('=')
        try:
            limits[name] = float(seconds)
        except ValueError:
            limits[name] = math.nan
        if not (name and bounds.BOUNDS['max_age'][0] <= limits[name]):
            raise ConfigError(
                f"max_ages: expected an input's name and seconds such as 'imu=0.05', "
                f'found {text[:60]!r}'
            )
    return limits


@dataclass(frozen=True)
class PolicyParameters:
    """Read when the node is configured; `policy` may be set while it drives."""

    policy: str = parameter(
        'track_cfc',
        'Policy bundle: a directory, or the name of a shipped one. Set it to swap.',
        fixed=False,
    )
    shadow_policy: str = parameter(
        '',
        'Second bundle that runs on the same observations and cannot actuate; empty: none.',
        fixed=False,
    )
    fallback_policy: str = parameter(
        '', 'Bundle that takes over when the active one fails; empty: safe stop.', fixed=False
    )
    load_timeout: float = parameter(
        15.0,
        'A policy that is not loaded and tried within this time is refused, s.',
        range=(1.0, 600.0),
    )
    load_memory: int = parameter(
        1024,
        'A policy that takes more memory to load and try is refused, MB.',
        range=(64, 65536),
    )
    time_budget: float = parameter(
        0.0,
        'A policy whose step takes longer five ticks in a row has failed, s; 0: half the period.',
        range=(0.0, 1.0),
    )
    exclusive_command: bool = parameter(
        True, 'Safe stop when another node publishes on the command topic.'
    )
    passive_listeners: tuple[str, ...] = parameter(
        PASSIVE_LISTENERS,
        'Nodes (names, wildcards) that only watch the command: with no other left, safe stop.',
    )
    robot: str = parameter(
        'simulated_car',
        'Robot file with its limits: a path, or a name of config/robots.',
    )
    command_type: str = parameter(
        'twist_stamped', 'Type of cmd_vel and cmd_vel_override.', choices=COMMAND_TYPES
    )
    image_transport: str = parameter(
        'raw', 'Camera topic to subscribe.', choices=('raw', 'compressed')
    )
    control_rate: float = parameter(
        0.0, 'Control rate in Hz; 0 takes the one the policy was trained at.', range=(0.0, 1000.0)
    )
    frame_id: str = parameter('base_link', 'Frame of stamped commands.')
    override_timeout: float = parameter(
        0.5, 'A person drives for this long after the last override, s.', range=(0.05, 5.0)
    )
    attention_rate: float = parameter(
        5.0,
        'Images of ~/attention, while somebody subscribes to it, Hz; 0: none.',
        range=(0.0, 60.0),
    )
    providers: tuple[str, ...] = parameter(
        ('cpu',), 'ONNX Runtime providers in order of preference: tensorrt, cuda, cpu.'
    )
    provider_required: bool = parameter(
        False, 'Refuse to run unless the first provider runs the whole policy.'
    )
    device_id: int = parameter(0, 'CUDA device number.', range=(0, 63), name='gpu.device_id')
    fp16: bool = parameter(False, 'TensorRT may compute in half precision.', name='gpu.fp16')
    engine_cache: str = parameter(
        '',
        'Directory of built TensorRT engines; empty: ~/.cache/liquid_control/engines.',
        name='gpu.engine_cache',
    )
    trusted_keys: tuple[str, ...] = parameter(
        (), 'Public keys (files); with any, a policy must be signed by one of them.'
    )
    max_ages: tuple[str, ...] = parameter(
        (),
        "Tighter age limits of inputs, s: 'imu=0.05'; of those not named, as in the bundle.",
    )
    priority: int = parameter(
        0,
        'SCHED_FIFO priority of the control thread; 0: an ordinary thread.',
        range=(0, 99),
        name='realtime.priority',
    )
    cpu_affinity: tuple[int, ...] = parameter(
        (), 'Processors of the control thread; empty: any.', name='realtime.cpu_affinity'
    )
    lock_memory: bool = parameter(False, 'Keep all pages in memory.', name='realtime.lock_memory')
    warn_lateness: float = parameter(
        0.1,
        'Diagnostics warn above this p99 lateness, as a share of the period.',
        range=(0.0, 10.0),
        name='diagnostics.warn_lateness',
    )
    warn_missed: float = parameter(
        0.001,
        'Diagnostics warn above this share of missed cycles.',
        range=(0.0, 1.0),
        name='diagnostics.warn_missed',
    )
    error_missed: float = parameter(
        0.05,
        'Diagnostics report an error above this share of missed cycles.',
        range=(0.0, 1.0),
        name='diagnostics.error_missed',
    )
