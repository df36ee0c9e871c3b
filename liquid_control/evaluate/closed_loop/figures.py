# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figures of a drive: commands, neurons and timing over time."""

from __future__ import annotations

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from liquid_control.contract.commands import axis_of
from liquid_control.evaluate.closed_loop.record import DriveRecord
from liquid_control.evaluate.report.figures import BLUE, GREY, ORANGE, STYLE, panels

MEASURED = {
    'speed': 'speed',
    'velocity_x': 'speed',
    'velocity_y': 'velocity_y',
    'velocity_z': 'velocity_z',
    'yaw_rate': 'yaw_rate',
}
"""What of the odometry answers a command."""


@rc_context(STYLE)
def draw_commands(drive: DriveRecord) -> Figure:
    """What the network said, what was sent, what became of it, how far off the robot was."""
    ticks = drive.ticks
    time, path_time = drive.seconds(ticks.stamp_ns), drive.seconds(drive.path_ns)
    figure, axes = panels(2.3 * (len(ticks.names) + 1), [1.0] * (len(ticks.names) + 1))
    for index, name in enumerate(ticks.names):
        panel = axes[index]
        unit = axis_of(name).units[0].replace('1', '')
        panel.plot(time, ticks.raw[:, index], color=ORANGE, linewidth=1, label='network')
        panel.plot(time, ticks.sent[:, index], color=BLUE, linewidth=1.4, label='sent')
        if (measured := MEASURED.get(name)) is not None:
            moved = [getattr(status.motion, measured) for status in drive.statuses]
            panel.plot(path_time, moved, color=GREY, linewidth=1.4, label='robot', zorder=1)
        panel.set_ylabel(f'{name.replace("_", " ")}{f", {unit}" if unit else ""}')
        panel.legend(loc='lower right', bbox_to_anchor=(1, 0.97), ncols=3)
    last, deviation = axes[-1], drive.course.deviation(drive.statuses)
    low, high = deviation.good
    margin = 0.2 * (high - low)
    top = max(high + margin, float(np.abs(deviation.values).max()) if low >= 0 else 0.0)
    last.axhspan(low, high, color='#eef0f3', zorder=0)
    last.plot(path_time, deviation.values, color=BLUE, linewidth=1.2)
    last.set_ylim(low - margin if low < 0 else 0.0, top)
    last.set_ylabel(deviation.label)
    last.set_xlabel('time since engaging, s')
    last.set_xlim(0, max(float(time[-1]), 1e-3))
    return figure


@rc_context(STYLE | {'axes.grid': False})
def draw_neurons(drive: DriveRecord) -> Figure:
    """Activity of every neuron over time."""
    time = drive.seconds(drive.ticks.stamp_ns)
    neurons = drive.ticks.neurons.T
    figure = Figure(figsize=(10, 1.2 + 0.055 * max(len(neurons), 24)))
    axes = figure.subplots()
    limit = float(np.percentile(np.abs(neurons), 99)) or 1.0
    image = axes.imshow(
        neurons,
        aspect='auto',
        cmap='RdBu_r',
        vmin=-limit,
        vmax=limit,
        interpolation='nearest',
        extent=(float(time[0]), max(float(time[-1]), 1e-3), len(neurons) - 0.5, -0.5),
    )
    axes.set_ylabel('neuron')
    axes.set_xlabel('time since engaging, s')
    figure.colorbar(image, ax=axes, pad=0.02, label='state', extend='both')
    return figure


@rc_context(STYLE)
def draw_timing(drive: DriveRecord) -> Figure:
    """Histograms of lateness and of the way from camera to command."""
    ticks = drive.ticks
    latency = ticks.sense_to_act[np.isfinite(ticks.sense_to_act)]
    shown = [('start of a tick behind its deadline', ticks.lateness, BLUE)]
    if len(latency):
        shown.append(('camera stamp to command sent', latency, ORANGE))
    figure = Figure(figsize=(10, 3))
    for axes, (title, values, colour) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True
    ):
        milliseconds = 1e3 * values
        axes.hist(milliseconds, bins=40, color=colour, alpha=0.85)
        for share, style in ((50, '-'), (99, '--')):
            at = float(np.percentile(milliseconds, share))
            axes.axvline(
                at, color='black', linewidth=1, linestyle=style, label=f'p{share} {at:.2f} ms'
            )
        axes.set_yscale('log')
        axes.set_ylim(bottom=0.7)
        axes.set_title(title)
        axes.set_xlabel('ms')
        axes.set_ylabel('ticks')
        axes.legend(loc='upper right', frameon=True, framealpha=0.9, edgecolor='none')
    return figure
