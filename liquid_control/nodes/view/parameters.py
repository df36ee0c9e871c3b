# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the live view; config/view.yaml gives each value with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from liquid_control.nodes.common.parameters import parameter


@dataclass(frozen=True)
class ViewParameters:
    """Read when the node is configured."""

    host: str = parameter(
        '127.0.0.1', 'Address to serve on; any other than loopback asks for a token.'
    )
    port: int = parameter(8080, 'Port to serve on; 0: any free one.', range=(0, 65535))
    names: tuple[str, ...] = parameter(
        (), 'Names that browsers may call this machine by, besides its own and its addresses.'
    )
    token_file: str = parameter(
        '', 'Keeps the tokens, so that addresses stay the same; empty: new ones at every start.'
    )
    read_only: bool = parameter(False, 'Nobody can act, whatever their token.')
    max_viewers: int = parameter(8, 'More pages than that are turned away.', range=(1, 64))
    image_transport: str = parameter(
        'raw', 'Camera topic to subscribe.', choices=('raw', 'compressed')
    )
    image_rate: float = parameter(
        15.0, 'Frames to a viewer at most, Hz; a slow link gets fewer.', range=(0.5, 30.0)
    )
    top_speed: float = parameter(
        0.0,
        'Of driving by hand, where a page begins, m/s; 0: 60 % of what the robot may.',
        range=(0.0, 100.0),
    )
    policy_node: str = parameter('policy_node', 'Name of the policy node.')
    recorder_node: str = parameter('recorder_node', 'Name of the recorder.')
