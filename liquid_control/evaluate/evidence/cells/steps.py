# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One control step of every cell over boxes: what its state can become, and how fast it changes.

The equations are those of `liquid_control.nn`, in the operations of `intervals`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from liquid_control.evaluate.evidence.intervals import (
    Box,
    Floats,
    add,
    affine,
    blend,
    box,
    decayed,
    join,
    product,
    quotient,
    scaled,
    sigmoid,
    tanh,
    total,
    weighted_mean,
)
from liquid_control.evaluate.evidence.study import EvidenceError
from liquid_control.nn.cfc import CfCCell, LeCunTanh, WiredCfCCell
from liquid_control.nn.cfc_equations import CfCEquations
from liquid_control.nn.layer import LiquidCell, LiquidLayer
from liquid_control.nn.lrc import LRCCell
from liquid_control.nn.ltc import LEAST_CONDUCTANCE, LTCCell
from liquid_control.nn.mixed_memory import MixedMemory
from liquid_control.nn.ode import CTRNNCell, NeuralODECell, ODECell
from liquid_control.nn.recurrent import ELAPSED_UNIT, GRUCell, LSTMCell
from liquid_control.nn.stack import StackCell

# State [n] -> what pulls it and how strongly: target or slope, and rate; see `_solve`.
Pull = Callable[[Box], tuple[Box, Box]]


def layer_step(layer: LiquidLayer, x: Box, state: Box, elapsed: Box) -> Box:
    """The packed state after a step from inputs [F], packed state [S] and seconds [1].

    Raises:
        EvidenceError: the cell or its solver is not among those that can be bounded.
    """
    cell = layer.rnn_cell
    step = STEPS.get(type(cell))
    if step is None:
        raise EvidenceError(f'{type(cell).__name__} has no bounds: choose another cell')
    if layer.lstm is None:
        return step(cell, x, state, elapsed)
    n = layer.state_size
    liquid, memory = _memory(layer.lstm, x, state[:n], state[n:])
    return join(step(cell, x, liquid, elapsed), memory)


def readout(layer: LiquidLayer, state: Box) -> Box:
    """Outputs of a packed state."""
    from liquid_control.nn.onnx_export.core import readout as weights_of

    weight, bias = weights_of(layer)
    return affine(state, weight, bias[0])


# --- Liquid time constants ---------------------------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """What the synapses of LTC neurons do at some inputs and states.

    Attributes:
        target: where the neurons go, [units].
        conductance: how strongly, the leak included, [units].
        slope: of the openings' arguments by the variables, [variables, sources, units].
        share: least and most that a synapse's part of the conductance changes with its argument,
            in shares of the whole conductance, [sources, units] both.
    """

    target: Box
    conductance: Box
    slope: tuple[Floats, Floats] | None
    share: tuple[Floats, Floats]


def opened(cell: LTCCell, x: Box, v: Box) -> Opened:
    """Synapses at these inputs and states."""
    p = {name: array(value) for name, value in cell.effective_parameters()._asdict().items()}
    sources = join(_mapped_inputs(cell, x), v)
    w, sigma, mu, erev = (
        np.concatenate([p[f'sensory_{name}'], p[name]]) for name in ('w', 'sigma', 'mu', 'erev')
    )
    leak = p['gleak'] + LEAST_CONDUCTANCE
    argument = scaled(sources[:, None], sigma, -sigma * mu)
    opening = sigmoid(Box(argument.low, argument.high))
    low, high = np.clip(opening.low, 0, 1), np.clip(opening.high, 0, 1)
    weights = Box(np.concatenate([low * w, leak[None]]), np.concatenate([high * w, leak[None]]))
    values = np.concatenate([np.where(w > 0, erev, 0.0), (p['gleak'] * p['vleak'] / leak)[None]])
    target, conductance = weighted_mean(weights, values), total(weights)
    share = _changed_share(w, low, high, leak, conductance)
    if argument.slope is not None:
        first, second = by_argument(argument.slope, *_towards(share, values[:-1], target))
        target = Box(target.low, target.high, (first, second))
    return Opened(target, conductance, argument.slope, share)


def _changed_share(
    w: Floats, low: Floats, high: Floats, leak: Floats, conductance: Box
) -> tuple[Floats, Floats]:
    """Bounds of w s (1 - s) / (w s + rest) for openings s from `low` to `high`.

    The rest of the conductance is at least and at most what all others are. The fraction rises
    up to one place and falls from there.
    """

    def fraction(s: Floats, rest: Floats) -> Floats:
        return w * s * (1 - s) / (w * s + rest)

    least, most = conductance.low - w * low, conductance.high - w * high
    least = np.maximum(least, leak * (1 - 1e-6))
    wide = np.maximum(w, 1e-30)
    best = np.clip((np.sqrt(least * (least + wide)) - least) / wide, low, high)
    ends = np.minimum(fraction(low, most), fraction(high, most))
    return ends * (1 - 1e-6), fraction(best, least) * (1 + 1e-6)


def _towards(share: tuple[Floats, Floats], values: Floats, target: Box) -> tuple[Floats, Floats]:
    """Smallest and largest derivative of the target by the argument of each opening."""
    ends = [part * way for part in share for way in (values - target.high, values - target.low)]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def by_argument(slope: tuple[Floats, Floats], low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Derivatives [variables, units], of those by each synapse's argument [sources, units]."""
    ends = [part * end for part in slope for end in (low, high)]
    first, second = np.minimum.reduce(ends).sum(axis=1), np.maximum.reduce(ends).sum(axis=1)
    size = np.maximum(np.abs(first), np.abs(second)) * (len(low) + 8) * 2.0**-52
    return first - size, second + size


def _mapped_inputs(cell: LTCCell, x: Box) -> Box:
    scale = array(cell.input_w) if cell.input_mapping else 1.0
    offset = array(cell.input_b) if cell.input_mapping == 'affine' else 0.0
    return scaled(x, scale, offset)


def _ltc(cell: LTCCell, x: Box, v: Box, elapsed: Box) -> Box:
    capacitance = array(cell.effective_parameters().cm)
    h = scaled(elapsed, 1 / cell.unfolds)

    def towards(at: Box, h: Box) -> Box:
        """From v, for h, with the synapses as they are at some state."""
        synapses = opened(cell, x, at)
        times = product(scaled(synapses.conductance, 1 / capacitance), h)
        if cell.solver == 'euler':
            way, steep = times, (times.low, times.high)
        elif cell.solver == 'fused':
            way, steep = _implicit(times), _steepness(times, lambda t: t / (1 + t) ** 2)
        else:
            way, steep = decayed(times), _steepness(times, lambda t: t * np.exp(-t))
        if synapses.slope is not None:
            least, most = (np.multiply(*ends) for ends in zip(synapses.share, steep, strict=True))
            way = Box(way.low, way.high, by_argument(synapses.slope, least, most))
        return blend(v, synapses.target, way, most=np.inf if cell.solver == 'euler' else 1.0)

    if cell.solver not in ('fused', 'euler', 'exponential_midpoint'):
        raise _unknown(cell.solver)
    for _ in range(cell.unfolds):
        middle = v
        if cell.solver == 'exponential_midpoint':
            middle = towards(v, scaled(h, 0.5))
        v = towards(middle, h)
    return v


def _steepness(x: Box, function: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """Smallest and largest value of a function that rises up to 1 and falls from there."""
    least = np.minimum(function(x.low), function(x.high))
    return least * (1 - 1e-9), function(np.clip(1.0, x.low, x.high)) * (1 + 1e-9)


def _unknown(solver: str) -> EvidenceError:
    return EvidenceError(
        f'nothing is certified for the solver {solver}: choose fused, euler or '
        'exponential_midpoint'
    )


def _solve(solver: str, v: Box, elapsed: Box, pull: Pull, unfolds: int) -> Box:
    """Steps of a solver: towards a target, at a rate (1/s)."""
    h = scaled(elapsed, 1 / unfolds)
    for _ in range(unfolds):
        target, rate = pull(v)
        if solver == 'fused':
            v = blend(v, target, _implicit(product(rate, h)))
        elif solver == 'euler':  # beyond the target where h D > cm
            v = blend(v, target, product(rate, h), most=np.inf)
        elif solver == 'exponential_midpoint':
            middle = blend(v, target, decayed(product(rate, scaled(h, 0.5))))
            target, rate = pull(middle)
            v = blend(v, target, decayed(product(rate, h)))
        else:
            raise _unknown(solver)
    return v


def _implicit(x: Box) -> Box:
    """x / (1 + x), which rises with x."""
    share = scaled(quotient(box(np.ones_like(x.low)), scaled(x, 1.0, 1.0)), -1.0, 1.0)
    return share


# --- Closed form ---------------------------------------------------------------------------------


def _cfc(cell: CfCCell, x: Box, state: Box, elapsed: Box) -> Box:
    return advance(cell.equations(), x, state, elapsed)


def _wired_cfc(cell: WiredCfCCell, x: Box, state: Box, elapsed: Box) -> Box:
    after, start = [], 0
    for layer, size in zip(cell.layers, cell.layer_sizes, strict=True):
        x = _cfc(layer, x, state[start : start + size], elapsed)
        after.append(x)
        start += size
    return join(*after)


def heads(p: CfCEquations, x: Box, state: Box) -> list[Box]:
    """The linear heads of a CfC, each [units]."""
    z = join(x, state)
    for weight, bias in p.backbone:
        z = affine(z, array(weight).T, array(bias))
        slope, size = (0.666, 1.7159) if isinstance(p.activation, LeCunTanh) else (1.0, 1.0)
        z = scaled(tanh(scaled(z, slope)), size)
    found = affine(z, array(p.heads).T, array(p.heads_bias))
    units = len(state.low)
    return [found[start : start + units] for start in range(0, len(found.low), units)]


def advance(p: CfCEquations, x: Box, state: Box, elapsed: Box) -> Box:
    """The state after a step."""
    if p.mode == 'pure':
        raise EvidenceError("a CfC of the mode 'pure' has no bounds: choose another mode")
    near, far, rate, offset, *elastance = heads(p, x, state)
    if elastance:
        rate = product(rate, sigmoid(elastance[0]))
    gate = sigmoid(add(product(rate, elapsed), offset))
    if p.mode == 'no_gate':
        return add(tanh(near), product(gate, tanh(far)))
    return blend(tanh(near), tanh(far), gate)


# --- What they are compared with -----------------------------------------------------------------


def _ct_rnn(cell: CTRNNCell, x: Box, v: Box, elapsed: Box) -> Box:
    heard = affine(x, array(cell.input_map.weight).T, array(cell.input_map.bias))
    rate = box(1 / array(cell.capacitance))

    def pull(v: Box) -> tuple[Box, Box]:
        return tanh(add(heard, affine(v, array(cell.recurrent_map.weight).T))), rate

    return _solve(cell.solver, v, elapsed, pull, cell.unfolds)


def _lrc(cell: LRCCell, x: Box, v: Box, elapsed: Box) -> Box:

    return _solve(cell.solver, v, elapsed, partial(lrc_pull, cell, x), cell.unfolds)


def lrc_pull(cell: LRCCell, x: Box, v: Box) -> tuple[Box, Box]:
    """Where LRC neurons go, and how fast, 1/s; the elastance is part of the speed alone."""
    p = {name: array(value) for name, value in cell.effective_parameters()._asdict().items()}
    x = scaled(x, array(cell.input_w), array(cell.input_b))
    f, u = box(p['gleak']), box(p['gleak'])
    for source, prefix in ((x, 'sensory_'), (v, '')):
        sigma, mu = p[f'{prefix}sigma'], p[f'{prefix}mu']
        opening = sigmoid(scaled(source[:, None], sigma, -sigma * mu))
        f = add(f, total(scaled(opening, p[f'{prefix}w'])))
        u = add(u, total(scaled(opening, p[f'{prefix}h'])))
    speed = affine(
        join(x, v), np.concatenate([p['sensory_elastance'], p['elastance']]), p['offset']
    )
    elastance = scaled(sigmoid(speed), 1 / float(cell.capacitance))
    forget = sigmoid(f)
    return quotient(scaled(tanh(u), p['vleak']), forget), product(elastance, forget)


def _neural_ode(cell: NeuralODECell, x: Box, v: Box, elapsed: Box) -> Box:
    heard = affine(x, array(cell.input_map.weight).T, array(cell.input_map.bias))
    rate = 1 / float(cell.capacitance)

    def slope(v: Box) -> Box:
        hidden = tanh(add(heard, affine(v, array(cell.recurrent_map.weight).T)))
        return scaled(affine(hidden, array(cell.slope.weight).T, array(cell.slope.bias)), rate)

    h = scaled(elapsed, 1 / cell.unfolds)
    for _ in range(cell.unfolds):
        k1 = slope(v)
        if cell.solver == 'euler':
            v = add(v, product(h, k1))
            continue
        k2 = slope(add(v, product(scaled(h, 0.5), k1)))
        k3 = slope(add(v, product(scaled(h, 0.5), k2)))
        k4 = slope(add(v, product(h, k3)))
        mean = add(add(k1, k4), scaled(add(k2, k3), 2.0))
        v = add(v, product(scaled(h, 1 / 6), mean))
    return v


def _told(x: Box, elapsed: Box) -> Box:
    return join(x, tanh(scaled(elapsed, 1 / ELAPSED_UNIT)))


def _lstm(cell: LSTMCell, x: Box, state: Box, elapsed: Box) -> Box:
    n = cell.units
    p = {name: array(value) for name, value in cell.neurons.named_parameters()}
    weight = np.concatenate([p['weight_ih'], p['weight_hh']], axis=1).T
    gates = affine(join(_told(x, elapsed), state[:n]), weight, p['bias_ih'] + p['bias_hh'])
    write, keep, candidate, read = (gates[n * i : n * (i + 1)] for i in range(4))
    return join(*_remember(write, keep, candidate, read, state[n:]))


def _memory(cell: MixedMemory, x: Box, state: Box, memory: Box) -> tuple[Box, Box]:
    n = len(memory.low)
    weight = np.concatenate([array(cell.input_map.weight), array(cell.recurrent_map.weight)], 1).T
    gates = affine(join(x, state), weight, array(cell.input_map.bias))
    candidate, write, keep, read = (gates[n * i : n * (i + 1)] for i in range(4))
    return _remember(write, scaled(keep, 1.0, 1.0), candidate, read, memory)


def _remember(write: Box, keep: Box, candidate: Box, read: Box, memory: Box) -> tuple[Box, Box]:
    kept = product(memory, sigmoid(keep))
    memory = add(kept, product(tanh(candidate), sigmoid(write)))
    return product(tanh(memory), sigmoid(read)), memory


def _gru(cell: GRUCell, x: Box, state: Box, elapsed: Box) -> Box:
    n = cell.units
    p = {name: array(value) for name, value in cell.neurons.named_parameters()}
    heard = affine(_told(x, elapsed), p['weight_ih'].T, p['bias_ih'])
    own = affine(state, p['weight_hh'].T, p['bias_hh'])
    reset, keep = (sigmoid(add(heard[part], own[part])) for part in (slice(n), slice(n, 2 * n)))
    new = tanh(add(heard[2 * n :], product(reset, own[2 * n :])))
    return blend(new, state, keep)


def _stack(cell: StackCell, x: Box, state: Box, elapsed: Box) -> Box:
    stack = join(_told(x, elapsed), state[cell.units :])
    neurons = tanh(affine(stack, array(cell.hidden.weight).T, array(cell.hidden.bias)))
    return join(neurons, stack[: cell.kept_size])


STEPS: dict[type[LiquidCell], Callable[..., Box]] = {
    LTCCell: _ltc,
    CfCCell: _cfc,
    WiredCfCCell: _wired_cfc,
    CTRNNCell: _ct_rnn,
    LRCCell: _lrc,
    NeuralODECell: _neural_ode,
    LSTMCell: _lstm,
    GRUCell: _gru,
    StackCell: _stack,
}


def array(tensor: Tensor) -> Floats:
    """A weight as it is, in float64."""
    values: Floats = tensor.detach().double().cpu().numpy()
    return values


__all__ = ['ODECell', 'advance', 'array', 'heads', 'layer_step', 'opened', 'readout']
