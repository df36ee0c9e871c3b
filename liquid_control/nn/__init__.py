"""Liquid neural networks in torch: cells, wirings and solvers.

>>> from liquid_control.nn import LTC, CfC, NCP, AutoNCP
"""

from liquid_control.nn.cfc import CfC
from liquid_control.nn.ltc import LTC
from liquid_control.nn.ncp import NCP, AutoNCP
from liquid_control.nn.wiring import FixedWiring, FullyConnected, Random, Wiring

__all__ = ['LTC', 'NCP', 'AutoNCP', 'CfC', 'FixedWiring', 'FullyConnected', 'Random', 'Wiring']
