# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The figure of a wiring, coloured by what the loss of each part does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liquid_control.evaluate.report.figures import STYLE
from liquid_control.nn.wiring import Wiring

Floats = NDArray[np.float64]


@rc_context(STYLE)
def draw_effects(
    wiring: Wiring,
    neurons: Floats,
    pairs: Sequence[Sequence[int]],
    synapses: Floats,
    name: str,
    command: str,
) -> Figure:
    """Layers from left to right; the darker, the more the command hangs on it.

    Args:
        neurons: effect of each, as the wiring numbers them.
        pairs: source (inputs, then neurons) and target of each synapse.
        synapses: effect of each of these.
    """
    inputs = len(wiring.sensory_adjacency)
    layers = [
        range(inputs),
        *(range(inputs + n[0], inputs + n[-1] + 1) for n in wiring.layers.values()),
    ]
    places = np.zeros((inputs + wiring.units, 2))
    for x, ids in enumerate(layers):
        places[ids] = [(x, y) for y in np.linspace(0.5, -0.5, len(ids)) * min(1, len(ids) / 12)]
    figure = Figure(figsize=(10, 6))
    axes = figure.subplots()
    colours = colormaps['YlOrRd']
    # Most synapses do little: a few strong ones must not leave the rest white.
    scale = Normalize(0.0, float(max(np.quantile(synapses, 0.99), 1e-9)))
    ranked = np.argsort(synapses)
    lines = [places[[pairs[index][0], inputs + pairs[index][1]]] for index in ranked]
    axes.add_collection(
        LineCollection(
            lines,
            colors=colours(scale(synapses[ranked])),
            linewidths=0.3 + 2.0 * np.clip(scale(synapses[ranked]), 0, 1),
            zorder=1,
        )
    )
    axes.scatter(places[:inputs, 0], places[:inputs, 1], s=18, color='#b8bdc7', zorder=2)
    size = Normalize(0.0, float(max(neurons.max(), 1e-9)))
    axes.scatter(
        places[inputs:, 0],
        places[inputs:, 1],
        s=110,
        c=colours(size(neurons)),
        edgecolors='#444',
        zorder=2,
    )
    for x, (label, ids) in enumerate(zip(['inputs', *wiring.layers], layers, strict=True)):
        axes.text(x, 0.58, f'{len(ids)} {label}', ha='center')
    figure.colorbar(ScalarMappable(size, colours), ax=axes, label='effect of a neuron', shrink=0.6)
    axes.set_title(f'{name}: what {command.replace("_", " ")} hangs on')
    axes.set_ylim(-0.6, 0.66)
    axes.axis('off')
    return figure
