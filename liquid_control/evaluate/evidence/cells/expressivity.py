# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Expressivity as the LTC paper measures it: how long a trajectory a circle of inputs becomes.

A network of random weights hears (sin t, cos t) for one turn; its state is projected on the two
principal components of its own trajectory, and the length of that curve is taken. Source: Hasani,
Lechner et al., AAAI 2021, section 5, after Raghu et al., ICML 2017; the equations are those of the
authors' own experiment. Published: LTC longest, then neural ODE, then CT-RNN. A network that only
swings further has a longer trajectory too, so the length divided by the amplitude (root mean
square distance from the mean) stands beside it, and an LTC with a drive as strong as the others'.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liquid_control.evaluate.evidence.study import (
    Measured,
    Piece,
    Report,
    Study,
    Table,
    grouped,
    spread,
)
from liquid_control.evaluate.report.figures import STYLE
from liquid_control.evaluate.statistics import wilson

Floats = NDArray[np.float64]

# In the order that is published, and the first again with its gain divided out.
MODELS = ('ltc', 'neural-ode', 'ct-rnn')
UNIT_GAIN = 'ltc, gain 1'
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    'tanh': np.tanh,
    'relu': lambda x: np.maximum(x, 0.0),
    'hard-tanh': lambda x: np.clip(x, -1.0, 1.0),
    'sigmoid': lambda x: 0.5 * (1 + np.tanh(x / 2)),
}
# Where the others are varied from, one at a time. The scale is the deviation of every weight; a
# solver is a method and the steps that it takes.
BASE: dict[str, Any] = {
    'activation': 'tanh',
    'width': 100,
    'depth': 1,
    'scale': 1.41,
    'solver': 'rk4 4000',
}
VARIED: dict[str, tuple[Any, ...]] = {
    'activation': tuple(ACTIVATIONS),
    'width': (10, 25, 50, 100, 200),
    'depth': (1, 2, 4),
    'scale': (1.0, 1.41, 2.0, 4.0),
    'solver': ('euler 100', 'euler 4000', 'rk4 4000'),
}
QUICK_BASE: dict[str, Any] = {**BASE, 'width': 50, 'solver': 'rk4 1000'}
QUICK_VARIED: dict[str, tuple[Any, ...]] = {
    'activation': ('sigmoid',),
    'width': (25,),
    'depth': (2,),
    'scale': (1.0, 4.0),
    'solver': ('euler 1000',),
}
POINTS = 100  # of a trajectory, equally spaced in time
# A state beyond this has run away: its trajectory has no length that says anything.
RUNAWAY = 1e6


def study(*, seed: int = 0, quick: bool = False) -> Study:
    """Every setting, with so many networks."""
    networks, base = (3, QUICK_BASE) if quick else (20, BASE)
    settings = [base]
    settings += [
        {**base, name: value}
        for name, values in (QUICK_VARIED if quick else VARIED).items()
        for value in values
        if value != base[name]
    ]
    pieces: list[Piece] = [{**setting, 'seed': seed, 'networks': networks} for setting in settings]
    return Study('expressivity', measure, pieces, summarise)


def measure(piece: Piece) -> Measured:
    """Length and amplitude of every model's trajectory, for each network."""
    return {
        model: [
            length_of(states) if np.abs(states).max() < RUNAWAY else None
            for states in trajectories(model, piece)
        ]
        for model in (*MODELS, UNIT_GAIN)
    }


def trajectories(model: str, piece: Piece) -> Floats:
    """States of the last layer [networks, POINTS + 1, width] over one turn, from zeros.

    Each layer hears the state of the one before it, the first the circle. With f of what is heard
    and g of the own state, both of random weights and biases: neural ODE dv/dt = f; CT-RNN
    dv/dt = f - v / tau; LTC dv/dt = A f + B g - (1 / tau + |f| + |g|) v, where A and B are sums of
    as many random reversal potentials as there are neurons. With unit gain these sums are divided
    by their deviation.
    """
    width, depth, scale = piece['width'], piece['depth'], piece['scale']
    activation = ACTIVATIONS[piece['activation']]
    method, steps = piece['solver'].split()
    count = piece['networks']
    drawn = [
        _drawn(np.random.default_rng([piece['seed'], index]), width, depth, scale)
        for index in range(count)
    ]
    heard_w, heard_b, own_w, own_b, tau, pull, own_pull = (
        np.stack([entry[part] for entry in drawn]) for part in range(7)
    )
    if model == UNIT_GAIN:
        pull, own_pull = (part / (scale * math.sqrt(width)) for part in (pull, own_pull))

    def slope(t: float, v: Floats) -> Floats:
        circle = np.zeros((count, 1, width))
        circle[:, 0, :2] = math.sin(t), math.cos(t)
        heard = np.concatenate([circle, v[:, :-1]], axis=1)
        f = activation((heard_w @ heard[..., None])[..., 0] + heard_b)
        if model == 'neural-ode':
            return f
        if model == 'ct-rnn':
            return f - v / tau
        g = activation((own_w @ v[..., None])[..., 0] + own_b)
        return pull * f + own_pull * g - (1 / tau + np.abs(f) + np.abs(g)) * v

    h, v = 2 * math.pi / int(steps), np.zeros((count, depth, width))
    states, every = [v[:, -1]], int(steps) // POINTS
    with np.errstate(over='ignore', invalid='ignore'):
        for index in range(int(steps)):
            v = np.nan_to_num(_after(slope, index * h, v, h, method), nan=2 * RUNAWAY)
            v = v.clip(-2 * RUNAWAY, 2 * RUNAWAY)
            if (index + 1) % every == 0:
                states.append(v[:, -1])
    return np.stack(states, axis=1)


def _after(
    slope: Callable[[float, Floats], Floats], t: float, v: Floats, h: float, method: str
) -> Floats:
    k1 = slope(t, v)
    if method == 'euler':
        return v + h * k1
    k2 = slope(t + h / 2, v + h / 2 * k1)
    k3 = slope(t + h / 2, v + h / 2 * k2)
    return v + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(t + h, v + h * k3))


def _drawn(rng: np.random.Generator, width: int, depth: int, scale: float) -> tuple[Floats, ...]:
    """Weights, biases, time constants and sums of reversal potentials of one network."""
    square, line = (depth, width, width), (depth, width)
    heard_w, own_w = rng.normal(0, scale, square), rng.normal(0, scale, square)
    heard_b, own_b = rng.normal(size=line), rng.normal(size=line)
    tau = np.maximum(np.abs(rng.normal(size=line)), 1e-3)
    pull, own_pull = (rng.normal(0, scale, square).sum(axis=1) for _ in range(2))
    return heard_w, heard_b, own_w, own_b, tau, pull, own_pull


def length_of(states: Floats) -> tuple[float, float]:
    """Length of the trajectory on its two principal components, and its amplitude there."""
    centred = states - states.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ directions[:2].T
    length = np.linalg.norm(np.diff(flat, axis=0), axis=1).sum()
    return float(length), float(np.sqrt((flat**2).sum(axis=1).mean()))


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """Lengths per setting, and whether the published order holds, also per amplitude."""
    rows, ordered, normalised, total = [], 0, 0, 0
    base, of_base = {name: found[0][0][name] for name in BASE}, found[0][1]
    shown = (*MODELS, UNIT_GAIN)
    for piece, measured in found:
        known = [
            entry
            for entry in zip(*(measured[model] for model in shown), strict=True)
            if None not in entry
        ]
        holds = sum(_falls([length for length, _ in entry[:3]]) for entry in known)
        again = sum(_falls([length / size for length, size in entry[:3]]) for entry in known)
        ordered, normalised, total = ordered + holds, normalised + again, total + len(known)
        row: dict[str, Any] = {'setting': _setting(piece, base)}
        for index, model in enumerate(shown):
            lengths = [entry[index][0] for entry in known]
            shares = [entry[index][0] / entry[index][1] for entry in known]
            row[f'{model}: length'] = spread(lengths) if known else None
            row[f'{model}: per amplitude'] = spread(shares) if known else None
        row['order holds'] = f'{holds} of {len(known)}'
        row['order holds per amplitude'] = f'{again} of {len(known)}'
        row['ran away'] = len(measured[MODELS[0]]) - len(known)
        rows.append(row)
    rate, rest = wilson(ordered, max(total, 1)), wilson(normalised, max(total, 1))
    verdict = (
        f'the published order (LTC > neural ODE > CT-RNN) holds in {rate.value:.0%} of {total} '
        f'networks [{rate.low:.0%}, {rate.high:.0%}], per amplitude in {rest.value:.0%} '
        f'[{rest.low:.0%}, {rest.high:.0%}]'
    )
    caption = (
        f'Mean and standard deviation over {len(of_base[MODELS[0]])} networks of random weights, '
        f'the same for all models; one thing varied at a time from {_setting(base, base)}. Ran '
        'away: networks of which a state grew without end, left out.'
    )
    table = Table('lengths', 'Length of the trajectory of a circle', rows, caption)
    return Report('Expressivity', verdict, [table], {'lengths': _figure(found, base)})


def _falls(values: list[float]) -> bool:
    return all(a > b for a, b in pairwise(values))


def _setting(piece: Piece, base: Piece) -> str:
    changed = [name for name in base if piece[name] != base[name]] or list(base)
    return ', '.join(f'{name} {piece[name]}' for name in changed)


@rc_context(STYLE)
def _figure(found: list[tuple[Piece, Measured]], base: Piece) -> Figure:
    figure = Figure(figsize=(10, 5.6))
    axes = figure.subplots(2, 3)
    numbers = ('width', 'depth', 'scale')
    for column, name in enumerate(numbers):
        for row, what in enumerate(('length', 'per amplitude')):
            ax = axes[row][column]
            others = [key for key in base if key != name]
            chosen = [
                entry for entry in found if all(entry[0][key] == base[key] for key in others)
            ]
            groups = sorted(grouped(chosen, name).items())
            for model in (*MODELS, UNIT_GAIN):
                points = [
                    (value[0], np.mean([_shown(entry, row) for entry in kept]))
                    for value, (measured,) in groups
                    if (kept := [entry for entry in measured[model] if entry is not None])
                ]
                ax.plot(*zip(*points, strict=True), marker='o', label=model)
            ax.set_xlabel({'scale': 'deviation of the weights'}.get(name, name))
            ax.set_yscale('log')
            if column == 0:
                ax.set_ylabel(what)
    axes[0][0].set_title('Length of the trajectory')
    axes[1][0].set_title('Length per amplitude')
    axes[0][0].legend()
    return figure


def _shown(entry: tuple[float, float], row: int) -> float:
    return entry[0] / entry[1] if row else entry[0]
