# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The figure of a wiring: layers from left to right, synapses coloured by what they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from liquid_control.nn.wiring import Wiring

EXCITATORY, INHIBITORY = '#2a7f62', '#c8553d'
NEURON_COLOURS = {'sensory': '#b8bdc7', 'motor': '#e9a03b'}
HIDDEN_COLOURS = ('#7fa7d9', '#3f6fb5', '#274472')
# Neurons of wide layers come close to each other; their synapses fade to stay readable.
SYNAPSES_AT_FULL_STRENGTH = 60

SIZE = 90.0  # of a neuron, points^2

Point = tuple[float, float]
Colour = Any  # as matplotlib takes it


def draw_wiring(
    wiring: Wiring,
    ax: Axes | None = None,
    *,
    colours: Mapping[int, Colour] | None = None,
    sizes: Mapping[int, float] | None = None,
) -> Axes:
    """Draw a built wiring into `ax`, or into a new figure; returns the axes.

    Args:
        colours: of neurons, in place of those of their layers.
        sizes: of neurons, as areas in points^2.
    """
    colours, sizes = colours or {}, sizes or {}
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 5), layout='constrained')
    names = ['sensory', *wiring.layers]
    columns = [range(wiring.input_size or 0), *wiring.layers.values()]
    places = [_column(x, len(ids)) for x, ids in enumerate(columns)]
    sensory = dict(zip(columns[0], places[0], strict=True))
    neurons = {
        neuron: place
        for ids, column in zip(columns[1:], places[1:], strict=True)
        for neuron, place in zip(ids, column, strict=True)
    }
    count = wiring.synapse_count + wiring.sensory_synapse_count
    alpha = float(np.clip((SYNAPSES_AT_FULL_STRENGTH / count) ** 0.5, 0.15, 0.8)) if count else 1.0
    for sources, matrix in (
        (sensory, wiring.sensory_adjacency),
        (neurons, wiring.adjacency),
    ):
        for source, target in np.argwhere(matrix):
            colour = EXCITATORY if matrix[source, target] > 0 else INHIBITORY
            _synapse(ax, sources[source], neurons[target], colour, alpha)

    hidden = dict(zip(wiring.layers, HIDDEN_COLOURS, strict=False))
    _neurons(ax, list(sensory.values()), NEURON_COLOURS['sensory'])
    for neuron, place in neurons.items():
        kind = wiring.neuron_type(neuron)
        own = NEURON_COLOURS.get(kind, hidden.get(kind, HIDDEN_COLOURS[0]))
        _neurons(ax, [place], colours.get(neuron, own), sizes.get(neuron, SIZE))
    for x, (name, ids) in enumerate(zip(names, columns, strict=True)):
        ax.text(x, 1.06, f'{len(ids)} {name}', ha='center', fontsize=10)
    ax.legend(
        handles=[
            Line2D([], [], color=EXCITATORY, label='excites'),
            Line2D([], [], color=INHIBITORY, label='inhibits'),
        ],
        loc='lower center',
        bbox_to_anchor=(0.5, -0.08),
        ncols=2,
        frameon=False,
    )
    ax.set_xlim(-0.4, len(columns) - 0.6)
    ax.set_ylim(-0.08, 1.12)
    ax.axis('off')
    return ax


def _column(x: float, count: int) -> list[Point]:
    """Places of a layer's neurons, evenly spaced and centred; few neurons stay close together."""
    spread = min(1.0, 0.12 * (count - 1))
    return [(x, 0.5 + y) for y in np.linspace(spread / 2, -spread / 2, count)]


def _neurons(ax: Axes, places: list[Point], colour: Colour, size: float = SIZE) -> None:
    x, y = zip(*places, strict=True)
    ax.scatter(x, y, s=size, color=[colour], edgecolors='white', linewidths=0.8, zorder=3)


def _synapse(ax: Axes, source: Point, target: Point, colour: str, alpha: float) -> None:
    bend, between = 0.0, source[0] == target[0]
    if source == target:
        # A synapse onto itself: a small loop beside the neuron.
        source, target, bend = (source[0], source[1] - 0.015), (target[0], target[1] + 0.015), 2.0
    elif between:
        bend = 0.5
    ax.add_patch(
        FancyArrowPatch(
            source,
            target,
            connectionstyle=f'arc3,rad={bend}',
            arrowstyle='-|>',
            mutation_scale=7,
            shrinkA=4,
            shrinkB=4,
            linewidth=0.9,
            color=colour,
            alpha=alpha,
            zorder=2 if between else 1,
        )
    )
