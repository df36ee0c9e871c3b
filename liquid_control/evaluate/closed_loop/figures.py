"""Pictures of a drive: the path from above, commands, neurons and timing over time."""

from __future__ import annotations

import numpy as np
from matplotlib import rc_context
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from liquid_control.contract.commands import axis_of
from liquid_control.evaluate.closed_loop.record import DriveRecord
from liquid_control.evaluate.report.figures import BLUE, GREY, ORANGE, RED, STYLE, panels
from liquid_control.sim.track import ROAD_WIDTH


@rc_context(STYLE | {'axes.grid': False})
def draw_path(drive: DriveRecord, title: str) -> Figure:
    """The car's path on the track, seen from above, coloured by speed; red off the road."""
    track = drive.track
    width, height = np.ptp(track.points, axis=0) + 2 * ROAD_WIDTH
    figure = Figure(figsize=(10, 0.8 + 8.6 * height / width))
    axes = figure.subplots()
    centre = np.concatenate([track.points, track.points[:1]])
    normals = np.concatenate([track.normals, track.normals[:1]])
    left, right = centre + normals * ROAD_WIDTH / 2, centre - normals * ROAD_WIDTH / 2
    road = np.concatenate([left, right[::-1]])
    axes.fill(*road.T, color='#c9ced6', linewidth=0, zorder=0)
    for edge in (left, right):
        axes.plot(*edge.T, color='white', linewidth=2.2, zorder=1)
        axes.plot(*edge.T, color=GREY, linewidth=0.8, zorder=1)
    axes.plot(*centre.T, color='white', linewidth=1, linestyle=(0, (6, 6)), zorder=1)

    points = drive.path[:, None, :2]
    speed = drive.path[:, 3]
    top = float(speed.max())
    line = LineCollection(
        list(np.concatenate([points[:-1], points[1:]], axis=1)),
        array=speed[1:],
        cmap='plasma',
        # The start from rest would take the whole scale.
        clim=(min(float(np.percentile(speed, 5)), top - 0.5), top),
        linewidth=2,
        zorder=3,
        capstyle='round',
    )
    axes.add_collection(line)
    off = np.abs(drive.offset) > ROAD_WIDTH / 2
    if off.any():
        axes.plot(*drive.path[off, :2].T, '.', color=RED, zorder=4, label='off the road')
        axes.legend(loc='upper right')
    x, y, yaw = drive.path[0, :3]
    axes.annotate(
        '',
        xy=(x + 0.55 * np.cos(yaw), y + 0.55 * np.sin(yaw)),
        xytext=(x, y),
        arrowprops={'arrowstyle': '-|>', 'color': RED, 'linewidth': 2.2},
        zorder=5,
    )
    axes.plot(x, y, 'o', color=RED, markersize=7, zorder=5)
    axes.set_aspect('equal')
    axes.margins(0.04)
    axes.set_title(title)
    axes.set_xlabel('x, m')
    axes.set_ylabel('y, m')
    figure.colorbar(line, ax=axes, pad=0.02, shrink=0.8, label='speed, m/s', extend='min')
    return figure


@rc_context(STYLE)
def draw_commands(drive: DriveRecord) -> Figure:
    """What the network said, what was sent, how fast the car was, how far from the centre."""
    ticks = drive.ticks
    time, path_time = drive.seconds(ticks.stamp_ns), drive.seconds(drive.path_ns)
    figure, axes = panels(2.3 * (len(ticks.names) + 1), [1.0] * (len(ticks.names) + 1))
    for index, name in enumerate(ticks.names):
        panel = axes[index]
        unit = axis_of(name).units[0].replace('1', '')
        panel.plot(time, ticks.raw[:, index], color=ORANGE, linewidth=1, label='network')
        panel.plot(time, ticks.sent[:, index], color=BLUE, linewidth=1.4, label='sent')
        if name == 'speed':
            panel.plot(
                path_time, drive.path[:, 3], color=GREY, linewidth=1.4, label='car', zorder=1
            )
        panel.set_ylabel(f'{name.replace("_", " ")}{f", {unit}" if unit else ""}')
        panel.legend(loc='lower right', bbox_to_anchor=(1, 0.97), ncols=3)
    last = axes[-1]
    last.axhspan(-50 * ROAD_WIDTH, 50 * ROAD_WIDTH, color='#eef0f3', zorder=0)
    last.plot(path_time, 100 * drive.offset, color=BLUE, linewidth=1.2)
    last.set_ylim(-60 * ROAD_WIDTH, 60 * ROAD_WIDTH)
    last.set_ylabel('left of centre, cm')
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
