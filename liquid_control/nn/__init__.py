# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Liquid neural networks in torch: cells, wirings and solvers; see docs/cells.md.

>>> from liquid_control.nn import LTC, CfC, NCP, AutoNCP
"""

from liquid_control.nn.cfc import CfC
from liquid_control.nn.checkpoint import load_layer, save_layer
from liquid_control.nn.exchange import from_ncps, to_ncps
from liquid_control.nn.ltc import LTC
from liquid_control.nn.ncp import NCP, AutoNCP
from liquid_control.nn.wiring import FixedWiring, FullyConnected, Random, Wiring

__all__ = [
    'LTC',
    'NCP',
    'AutoNCP',
    'CfC',
    'FixedWiring',
    'FullyConnected',
    'Random',
    'Wiring',
    'from_ncps',
    'load_layer',
    'save_layer',
    'to_ncps',
]
