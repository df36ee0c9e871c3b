# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The explanation of a policy on a recording: what is measured, and the report.

The recording is replayed once and kept; then moments of it are looked at one by one, which is
what takes time. Both lie in the folder: an explanation that was broken off goes on from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from liquid_control.bags.reader import BagReader
from liquid_control.common.jobs import count_progress
from liquid_control.contract.contract import Contract
from liquid_control.evaluate.errors import ReplayError
from liquid_control.evaluate.evidence.study import Measured, Piece, Report, Study, Table
from liquid_control.evaluate.explain import figures, neurons
from liquid_control.evaluate.explain.drive import Drive, Floats, collect
from liquid_control.evaluate.explain.film import write_film
from liquid_control.evaluate.explain.network import Inside
from liquid_control.evaluate.explain.occlusion import image_effects, input_effects
from liquid_control.evaluate.explain.stability import rank_correlation, under_noise
from liquid_control.evaluate.replay.bag_replay import Options
from liquid_control.runtime.inference.attention import Attention
from liquid_control.runtime.inference.policy import Policy

# Looked at closely, spread over the recording; and shown of them on a sheet.
MOMENTS, QUICK_MOMENTS, SHOWN = 24, 6, 8
# For so long something stays covered, s: what the state remembers counts too.
HOLD = 0.4


@dataclass(frozen=True)
class Subject:
    """A drive and where it is kept.

    Attributes:
        file: of the drive; what identifies it is in its name.
        moments: ticks that are looked at closely.
        hold: for how many ticks something is covered.
    """

    policy: Policy
    drive: Drive
    file: Path
    moments: tuple[int, ...]
    hold: int

    @property
    def contract(self) -> Contract:
        return self.policy.contract


def prepare(
    bag: Path,
    policy: Policy,
    options: Options,
    out: Path,
    *,
    seconds: float,
    quick: bool,
    console: Console,
) -> Subject:
    """Replay the recording, or read what an earlier run kept of it.

    Args:
        seconds: of the recording, at most.

    Raises:
        ReplayError: the policy could hardly be asked.
    """
    period_ns = policy.contract.period_ns
    ticks = max(1, round(seconds * 1e9 / period_ns))
    with BagReader(bag) as reader:
        said = {
            'bag': str(bag.resolve()),
            'messages': dict(sorted(reader.message_counts.items())),
            'policy': policy.bundle.digest,
            'ticks': ticks,
            'options': asdict(options),
        }
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
        file = out / 'measured' / f'drive-{digest}.npz'
        if file.exists():
            drive = Drive.load(file)
        else:
            with count_progress(console) as progress:
                task = progress.add_task('replay', total=None)
                drive = collect(
                    reader,
                    policy,
                    options,
                    ticks=ticks,
                    on_tick=lambda count: progress.update(task, completed=count),
                )
                progress.update(task, total=len(drive), completed=len(drive))
            file.parent.mkdir(parents=True, exist_ok=True)
            drive.save(file)
    hold = max(1, round(HOLD * 1e9 / period_ns))
    possible = np.flatnonzero(drive.unbroken(period_ns) >= hold)
    if not len(possible):
        raise ReplayError(
            f'{bag}: nowhere {HOLD:g} s in which policy {policy.contract.name} could be asked '
            'without a gap'
        )
    count = min(len(possible), QUICK_MOMENTS if quick else MOMENTS)
    chosen = possible[np.linspace(0, len(possible) - 1, count).round().astype(int)]
    return Subject(policy, drive, file, tuple(map(int, chosen)), hold)


def study(subject: Subject, inside: Inside, *, bag: Path, seed: int = 0) -> Study:
    """The moments, and a report of all."""
    common: Piece = {
        'drive': str(subject.file.resolve()),
        'policy': str(subject.policy.bundle.path.resolve()),
        'hold': subject.hold,
        'seed': seed,
    }
    return Study(
        'explain',
        look,
        [{**common, 'tick': tick} for tick in subject.moments],
        partial(report, subject, inside, bag),
    )


def look(piece: Piece) -> Measured:
    """One moment: occlusion of images and of inputs, and attention under noise."""
    drive, policy = Drive.load(Path(piece['drive'])), Policy.load(piece['policy'])
    tick, hold = piece['tick'], piece['hold']
    found: Measured = {'images': {}, 'agreement': {}, 'noise': {}}
    for name in drive.images:
        cells = image_effects(policy, drive, name, tick, hold)
        found['images'][name] = cells.round(6).tolist()
        if name not in drive.masks:
            continue
        frame = drive.frames[name][tick]
        mask = _coarse(drive.masks[name][frame], cells.shape)
        found['agreement'][name] = rank_correlation(mask, cells)
        rng = np.random.default_rng((piece['seed'], tick))
        attention = Attention(policy.bundle, name)
        found['noise'][name] = under_noise(attention, drive.images[name][frame], rng)
    found['inputs'] = input_effects(policy, drive, tick, hold)
    return found


def _coarse(mask: Floats, shape: tuple[int, ...]) -> Floats:
    """The mask's mean in each cell of a grid."""
    rows, columns = (
        np.array_split(np.arange(n), k) for n, k in zip(mask.shape, shape, strict=True)
    )
    return np.array([[mask[np.ix_(row, column)].mean() for column in columns] for row in rows])


def film(subject: Subject, path: Path, console: Console) -> None:
    """Write the drive as a film, with a progress bar, unless it is there already."""
    if path.exists() and path.stat().st_mtime >= subject.file.stat().st_mtime:
        return
    with count_progress(console) as progress:
        task = progress.add_task('film', total=len(subject.drive))
        write_film(
            subject.drive,
            subject.contract,
            path,
            on_tick=lambda count: progress.update(task, completed=count),
        )


def report(
    subject: Subject, inside: Inside, bag: Path, found: list[tuple[Piece, Measured]]
) -> Report:
    """Tables and figures of what was found."""
    drive, contract = subject.drive, subject.contract
    measured = [each for _, each in found]
    steering = neurons.steering(contract)
    described = neurons.describe(inside.names, contract, drive)
    parts = neurons.components(contract, drive)
    effects = {
        part: np.abs([each['inputs'][part] for each in measured]).mean(axis=0)
        for part in measured[0]['inputs']
    }
    tables = [
        _inputs_table(effects, contract, subject),
        *_attention_tables(measured, drive),
        _neurons_table(described, inside, contract, drive),
        _components_table(parts),
    ]
    pictures = {
        f'what_is_looked_at_in_{name}': _sheet(subject, name, measured) for name in drive.images
    }
    pictures['inputs'] = figures.draw_inputs(effects, contract.command_names)
    pictures['neurons_over_time'] = figures.draw_activity(drive, contract, described, steering)
    if inside.taus is not None:
        pictures['time_constants'] = figures.draw_time_constants(drive, inside.names, inside.taus)
    steered = drive.commands[:, contract.command_names.index(steering)]
    pictures['components'] = figures.draw_components(drive, parts, steering, steered)
    if inside.wiring is not None:
        pictures['wiring'] = figures.draw_wiring(
            inside.wiring, inside.neurons, described, steering
        )
    if drive.notes or inside.note:
        notes = [{'note': note} for note in (*drive.notes, inside.note) if note]
        tables.append(Table('notes', 'What is missing', notes))
    title = f'{contract.name} on {bag.name}'
    return Report(title, _verdict(measured, effects, parts, subject), tables, pictures)


def _sheet(subject: Subject, name: str, measured: Sequence[Measured]) -> Any:
    chosen = np.linspace(0, len(measured) - 1, min(SHOWN, len(measured))).round().astype(int)
    return figures.draw_sheet(
        subject.drive,
        name,
        [subject.moments[index] for index in chosen],
        [np.array(measured[index]['images'][name]) for index in chosen],
        f'{subject.contract.name}, {name}',
    )


def _inputs_table(effects: dict[str, Floats], contract: Contract, subject: Subject) -> Table:
    rows = [
        {'input': part, **dict(zip(contract.command_names, map(float, moved), strict=True))}
        for part, moved in effects.items()
    ]
    return Table(
        'inputs',
        'What each input counts for',
        rows,
        f'How far a command moves, as a share of its range, where an input (or a part of it) is '
        f'as on average of the drive for {subject.hold} ticks; mean of {len(subject.moments)} '
        'moments. Of an image its features.',
    )


def _attention_tables(measured: Sequence[Measured], drive: Drive) -> list[Table]:
    rows = []
    for name in drive.masks:
        row: dict[str, Any] = {'camera': name}
        agreed = _agreement(measured, name)
        if agreed is not None:
            row['agrees with occlusion'] = agreed
        for noise in measured[0]['noise'][name]:
            values = np.concatenate([each['noise'][name][noise] for each in measured])
            row[f'SSIM, noise {noise}'] = _spread(values)
        rows.append(row)
    if not rows:
        return []
    return [
        Table(
            'attention',
            'Whether attention is stable, and whether it is what matters',
            rows,
            'SSIM of the VisualBackProp mask with that of the clean image: mean (5 % worst), by '
            'standard deviation of the noise in grey levels; 1 is the same. Agreement: rank '
            'correlation of the mask with what the command changes by where the image is covered; '
            '0 would say that what the encoder finds is not what the policy acts on.',
        )
    ]


def _agreement(measured: Sequence[Measured], name: str) -> float | None:
    """Of a camera's attention with occlusion; None where all images look alike to one of them."""
    agreed = np.array([each['agreement'][name] for each in measured])
    return float(np.nanmean(agreed)) if np.isfinite(agreed).any() else None


def _spread(values: Floats) -> str:
    return f'{values.mean():.2f} ({np.quantile(values, 0.05):.2f})'


def _neurons_table(
    described: Sequence[neurons.Neuron], inside: Inside, contract: Contract, drive: Drive
) -> Table:
    world = list(neurons.world(contract, drive))
    return Table(
        'neurons',
        'Neurons',
        neurons.rows(described, inside.taus, world),
        'r: correlation with a command or a measured motion; in brackets what chance reaches too, '
        'given how slowly both change. Tree: the activity by questions about robot and sight '
        '(yes : no), grown on the first two thirds of the drive; told: share of the variance that '
        'it tells in the last third, below 0 less than the mean would. Time constant: median (5 '
        'to 95 %); of a CfC that of its gate.',
        listed=False,
    )


def _components_table(parts: neurons.Components) -> Table:
    told = np.cumsum(parts.shares)
    rows = [
        {'components': count, 'share of the variance': float(told[count - 1])}
        for count in (1, 2, 3, 5, 8)
        if count <= len(told)
    ]
    first = ', '.join(f'{name} {value:+.2f}' for name, value in parts.correlations.items())
    caption = f'Correlations of the first component: {first}.'
    return Table('components', 'Principal components of the activity', rows, caption)


def _verdict(
    measured: Sequence[Measured],
    effects: dict[str, Floats],
    parts: neurons.Components,
    subject: Subject,
) -> str:
    whole = {name: float(effects[name].sum()) for name in subject.contract.inputs}
    most = max(whole, key=lambda name: whole[name])
    said = [f'acts most on {most}']
    for name in subject.drive.masks:
        worst = np.mean([each['noise'][name]['10'] for each in measured])
        text = f'attention in {name}: SSIM {worst:.2f} under noise of 10 grey levels'
        agreed = _agreement(measured, name)
        if agreed is not None:
            text += f', rank correlation {agreed:.2f} with occlusion'
        said.append(text)
    said.append(f'first component {100 * parts.shares[0]:.0f} % of the activity')
    return '; '.join(said)
