# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figures of an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.contract.contract import Contract
from liquid_control.evaluate.explain.drive import Drive, Floats
from liquid_control.evaluate.explain.neurons import Components, Neuron
from liquid_control.evaluate.report.figures import BLUE, GREY, ORANGE, STYLE
from liquid_control.runtime.sensing.overlay import tinted

_SIGNED = 'RdBu_r'


@rc_context(STYLE)
def draw_sheet(
    drive: Drive, name: str, moments: Sequence[int], occlusions: Sequence[Floats], title: str
) -> Figure:
    """Moments below each other: image, VisualBackProp, occlusion.

    Args:
        name: of the camera.
        moments: ticks.
        occlusions: of the moments, [rows, columns].
    """
    images, masks = drive.images[name], drive.masks.get(name)
    height, width = images.shape[1:3]
    columns = ['camera', *(['VisualBackProp'] if masks is not None else []), 'occlusion']
    across = 2 if len(moments) > 3 else 1
    down = -(-len(moments) // across)
    size = 1.7
    figure = Figure(
        figsize=(size * len(columns) * across, (size * height / width + 0.08) * down + 0.5)
    )
    axes = figure.subplots(down, len(columns) * across, squeeze=False)
    for ax in axes.ravel():
        ax.axis('off')
    for place, (tick, occlusion) in enumerate(zip(moments, occlusions, strict=True)):
        row = axes[place % down, (place // down) * len(columns) :]
        image = images[drive.frames[name][tick]]
        peak = max(float(occlusion.max()), 1e-9)
        weight = cv2.resize(np.asarray(occlusion / peak, np.float32), (width, height))
        shown = [image]
        if masks is not None:
            shown.append(tinted(image, masks[drive.frames[name][tick]].astype(np.float32)))
        shown.append(tinted(image, np.asarray(weight, np.float32)))
        for ax, image in zip(row, shown, strict=False):
            ax.imshow(image)
        row[0].text(
            0.02, 0.97, f'{drive.time[tick]:.1f} s', color='white', fontsize=8, va='top',
            transform=row[0].transAxes,
        )  # fmt: skip
    for place in range(across):
        for ax, text in zip(axes[0, place * len(columns) :], columns, strict=False):
            ax.set_title(text, fontsize=9)
    figure.suptitle(title, x=0.01, ha='left', fontsize=11, fontweight='bold')
    return figure


@rc_context(STYLE)
def draw_activity(
    drive: Drive, contract: Contract, neurons: Sequence[Neuron], steering: str
) -> Figure:
    """Commands, and every neuron over time, ordered by what it has to do with steering."""
    count = len(contract.commands)
    figure = Figure(figsize=(10, 1.2 * count + 0.13 * len(neurons) + 1.4))
    axes = figure.subplots(
        count + 1, 1, sharex=True, height_ratios=[1] * count + [0.6 + 0.12 * len(neurons)]
    )
    for index, (ax, spec) in enumerate(zip(axes, contract.commands, strict=False)):
        ax.plot(drive.time, drive.recorded[:, index], color=GREY, label='recorded')
        ax.plot(drive.time, drive.commands[:, index], color=BLUE, lw=1.2, label='policy')
        ax.set_ylabel(spec.name.replace('_', ' '), fontsize=8)
    axes[0].legend(loc='upper right', ncols=2, fontsize=8)
    order = sorted(
        range(len(neurons)), key=lambda i: -np.nan_to_num(neurons[i].correlations[steering])
    )
    states = drive.states[:, order].T
    states = (states - states.mean(axis=1, keepdims=True)) / np.maximum(
        states.std(axis=1, keepdims=True), 1e-6
    )
    ax = axes[-1]
    ax.grid(False)
    ends = (float(drive.time[0]), float(drive.time[-1]), len(order) - 0.5, -0.5)
    ax.imshow(
        states,
        aspect='auto',
        cmap=_SIGNED,
        vmin=-2.5,
        vmax=2.5,
        extent=ends,
        interpolation='nearest',
    )
    ax.set_yticks(range(len(order)), [neurons[i].name for i in order], fontsize=6)
    ax.set_title(f'neurons, standardised; from most with {steering} to most against', fontsize=9)
    ax.set_xlabel('time, s')
    return figure


@rc_context(STYLE)
def draw_time_constants(drive: Drive, names: Sequence[str], taus: Floats) -> Figure:
    """Each neuron's over the drive: quantiles, and the ones that change most over time."""
    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.4])
    low, middle, high = np.quantile(taus, (0.05, 0.5, 0.95), axis=0)
    order = np.argsort(middle)
    left.hlines(range(len(order)), low[order], high[order], color=BLUE, lw=2, alpha=0.5)
    left.plot(middle[order], range(len(order)), 'o', ms=3, color=BLUE)
    left.set_xscale('log')
    left.set_yticks(range(len(order)), [names[i] for i in order], fontsize=5)
    left.set_xlabel('time constant, s (5 %, median, 95 %)')
    liveliest = np.argsort(low / high)[:5]
    for index, colour in zip(liveliest, (BLUE, ORANGE, GREY, '#2a7f62', '#c1121f'), strict=False):
        right.plot(drive.time, taus[:, index], lw=1, color=colour, label=names[index])
    right.set_yscale('log')
    # Where the rate of a gate changes its sign its inverse has no bound: shown is what is usual.
    shown = taus[:, liveliest]
    right.set_ylim(0.8 * shown.min(), min(1.2 * shown.max(), 5 * np.quantile(shown, 0.95)))
    right.set_xlabel('time, s')
    right.set_title('the five that change most', fontsize=9)
    right.legend(fontsize=7, ncols=2)
    return figure


@rc_context(STYLE)
def draw_components(drive: Drive, found: Components, steering: str, steered: Floats) -> Figure:
    """How many directions the activity has, and what the first one does."""
    figure = Figure(figsize=(10, 2.8))
    left, right = figure.subplots(1, 2, width_ratios=[1, 2.2])
    count = min(10, len(found.shares))
    left.bar(range(1, count + 1), 100 * found.shares[:count], color=BLUE)
    left.set_xlabel('principal component')
    left.set_ylabel('variance, %')
    for index, colour in enumerate((BLUE, ORANGE)[: found.scores.shape[1]]):
        right.plot(
            drive.time, found.scores[:, index], lw=1, color=colour, label=f'component {index + 1}'
        )
    right.set_xlabel('time, s')
    beside = right.twinx()
    beside.grid(False)
    beside.plot(drive.time, steered, lw=1, ls=':', color=GREY, label=steering)
    beside.set_ylabel(steering.replace('_', ' '))
    right.legend(fontsize=8, loc='upper left', ncols=2)
    beside.legend(fontsize=8, loc='upper right')
    return figure


@rc_context(STYLE)
def draw_inputs(effects: Mapping[str, Floats], commands: Sequence[str]) -> Figure:
    """Part of an input -> how far commands move without it, [C], as a share of their range."""
    names = list(effects)[::-1]
    figure = Figure(figsize=(8, 0.9 + 0.24 * len(names) * max(1.0, 0.6 * len(commands))))
    ax = figure.subplots()
    thick = 0.8 / len(commands)
    for index, (command, colour) in enumerate(
        zip(commands, (BLUE, ORANGE, '#2a7f62', GREY), strict=False)
    ):
        places = np.arange(len(names)) + 0.4 - thick * (index + 0.5)
        values = [100 * effects[name][index] for name in names]
        ax.barh(places, values, thick, color=colour, label=command.replace('_', ' '))
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xlabel('mean change of the command, % of its range')
    ax.legend(fontsize=8, loc='lower right')
    return figure


@rc_context({**STYLE, 'axes.grid': False})
def draw_wiring(
    wiring: Any, ids: Sequence[int], neurons: Sequence[Neuron], steering: str
) -> Figure:
    """The wiring: colour by the correlation with steering, size by how much a neuron moves."""
    from liquid_control.nn.draw import draw_wiring as draw

    colours = matplotlib.colormaps[_SIGNED]
    most = max(neuron.deviation for neuron in neurons) or 1.0
    with_neuron = list(zip(ids, neurons, strict=False))
    figure = Figure(figsize=(9, 6))
    ax = figure.subplots()
    draw(
        wiring,
        ax,
        colours={
            place: colours(0.5 + 0.5 * float(np.nan_to_num(neuron.correlations[steering])))
            for place, neuron in with_neuron
        },
        sizes={place: 30 + 220 * neuron.deviation / most for place, neuron in with_neuron},
    )
    ax.set_title(
        f'colour: correlation with {steering} (blue −1, red +1); size: how much a neuron moves',
        fontsize=9,
    )
    return figure
