# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What each neuron and synapse does to a policy's drive, and how many of them can go.

First in open loop: on what an intact drive saw, the network runs again with one neuron or synapse
silenced (see `silence`); the effect on a command is the root mean square of its change, in
deviations of the intact command. Then in closed loop: the strongest of them, whole groups, and
the weakest, more and more together, until the drive fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.lesion.drives import QUICK_PATIENCE, attempt, observe
from liquid_control.evaluate.evidence.lesion.figure import draw_effects
from liquid_control.evaluate.evidence.lesion.silence import (
    Floats,
    order,
    silenced,
    synapses,
    wiring_of,
)
from liquid_control.evaluate.evidence.study import (
    EvidenceError,
    Measured,
    Piece,
    Report,
    Study,
    Table,
)
from liquid_control.evaluate.evidence.turning import turning
from liquid_control.evaluate.evidence.worlds import unseen_worlds
from liquid_control.evaluate.statistics import clustered_mean, find_threshold, wilson
from liquid_control.nn.policy import PolicyNetwork
from liquid_control.nn.wiring import Wiring

LoadNetwork = Callable[[Path], PolicyNetwork]

WORLDS, QUICK_WORLDS = 8, 1
SECONDS, QUICK_SECONDS = 8.0, 4.0
STRONGEST, QUICK_STRONGEST = 3, 1
HALVINGS, QUICK_HALVINGS = 4, 1
ORDERS = ('weakest first', 'at random')

Found = list[tuple[Piece, Measured]]


def study(
    bundles: list[Path],
    load_network: LoadNetwork,
    *,
    worlds: int = WORLDS,
    seed: int = 0,
    quick: bool = False,
) -> Study:
    """Every neuron and synapse of every policy in open loop, then the drives.

    Raises:
        EvidenceError: a policy has no wiring, or there are not so many worlds.
    """
    seeds = unseen_worlds(QUICK_WORLDS if quick else worlds, seed)
    pieces: list[Piece] = []
    for path in bundles:
        bundle = load_bundle(path)
        wiring_of(load_network(path))
        same = {
            'policy': str(path),
            'name': bundle.contract.name,
            'digest': bundle.digest,
            'commands': list(bundle.contract.command_names),
            'quick': quick,
        }
        pieces += [{**same, 'what': 'open loop', 'world': world} for world in seeds]
    return Study(
        'lesion',
        partial(measure, load_network),
        pieces,
        partial(summarise, load_network),
        then=partial(closed_loop, load_network, list(seeds), seed),
    )


def wired(bundles: list[Path], load_network: LoadNetwork) -> list[Path]:
    """Those of the policies that have a wiring."""
    found = []
    for path in bundles:
        with suppress(EvidenceError):
            wiring_of(load_network(path))
            found.append(path)
    return found


def measure(load_network: LoadNetwork, piece: Piece) -> Measured:
    """One piece, in open or in closed loop."""
    network = load_network(Path(piece['policy']))
    if piece['what'] == 'open loop':
        return open_loop(network, piece)
    means = np.array(piece['means'])
    if piece['what'] == 'drive':
        lesioned = _lesioned(network, means, piece['neurons'], piece['synapses'])
        return attempt(Path(piece['policy']), lesioned, piece['world'], quick=piece['quick'])

    def fails(share: float, world: int) -> bool:
        gone = piece['order'][: round(share * len(piece['order']))]
        parts = ([], gone) if piece['of'] == 'synapses' else (gone, [])
        lesioned = _lesioned(network, means, *parts)
        lap = attempt(Path(piece['policy']), lesioned, world, quick=piece['quick'])
        return bool(lap['failed'])

    found = find_threshold(fails, piece['worlds'], steps=piece['halvings'])
    return {'threshold': str(found), 'value': found.value, 'drives': found.trials}


def _lesioned(
    network: PolicyNetwork, means: Floats, neurons: list[int], gone: Iterable[Sequence[int]]
) -> PolicyNetwork:
    wiring = wiring_of(network)
    mask = np.zeros((len(wiring.sensory_adjacency) + wiring.units, wiring.units), bool)
    for source, target in gone:
        mask[source, target] = True
    return silenced(network, means, mask=mask, neurons=neurons)


# --- Open loop ----------------------------------------------------------------------------------


def open_loop(network: PolicyNetwork, piece: Piece) -> Measured:
    """The effect of every neuron and synapse on the commands of one drive."""
    seconds = QUICK_SECONDS if piece['quick'] else SECONDS
    drive = observe(Path(piece['policy']), piece['world'], seconds)
    wiring, run = wiring_of(network), partial(_commands, drive=drive)
    states = np.empty(drive.states.shape)
    states[:, order(network)] = drive.states
    with torch.no_grad():
        inputs = {name: torch.from_numpy(value) for name, value in drive.inputs.items()}
        seen = network.core_inputs(inputs).double().numpy()
    means = np.concatenate([seen.mean(axis=0), states.mean(axis=0)])
    intact, index = run(network), turning(piece['commands'])
    spread = np.maximum(intact.std(axis=0), 1e-6)

    def effect(neurons: list[int], gone: Iterable[Sequence[int]]) -> list[float]:
        changed = run(_lesioned(network, means, neurons, gone)) - intact
        return [float(v) for v in np.sqrt((changed**2).mean(axis=0)) / spread]

    listed = synapses(wiring)
    if piece['quick']:  # those between neurons only
        listed = [pair for pair in listed if pair[0] >= len(wiring.sensory_adjacency)]
    return {
        'means': means.tolist(),
        'neurons': [effect([neuron], ()) for neuron in range(wiring.units)],
        'synapses': [effect([], [pair]) for pair in listed],
        'pairs': [list(pair) for pair in listed],
        'groups': {name: effect([], pairs) for name, pairs in groups(wiring).items()},
        'correlation': [_correlation(states[:, n], intact[:, index]) for n in range(wiring.units)],
        'activity': states.std(axis=0).tolist(),
        'seconds': len(drive.elapsed) / float(1 / drive.elapsed.mean()),
    }


def _commands(network: PolicyNetwork, *, drive: Any) -> NDArray[np.float64]:
    """Commands [ticks, commands] on what a drive saw."""
    with torch.no_grad():
        inputs = {name: torch.from_numpy(value) for name, value in drive.inputs.items()}
        seen, elapsed = network.core_inputs(inputs), torch.from_numpy(drive.elapsed)
        outputs, _ = network.cell(seen[None], None, elapsed[None])
        commands: NDArray[np.float64] = network.commands(outputs)[0].double().numpy()
    return commands


def _correlation(activity: Floats, command: Floats) -> float:
    if min(activity.std(), command.std()) < 1e-9:
        return 0.0
    return float(np.corrcoef(activity, command)[0, 1])


def groups(wiring: Wiring) -> dict[str, list[tuple[int, int]]]:
    """Connections that are silenced together.

    A wired CfC has more of them than its wiring has synapses: within a layer all neurons hear
    each other, and gates hear the whole layer before theirs.
    """
    inputs, layers = len(wiring.sensory_adjacency), wiring.layers
    matrix = np.concatenate([wiring.sensory_adjacency, wiring.adjacency]) != 0
    found = {}
    for name, neurons in layers.items():
        inside = [(inputs + a, b) for a in neurons for b in neurons]
        found[f'recurrence of {name} neurons'] = inside
    every = [(source, target) for source in range(len(matrix)) for target in range(wiring.units)]
    found['recurrence'] = [pair for pairs in list(found.values()) for pair in pairs]
    found['not in the wiring'] = [pair for pair in every if not matrix[pair]]
    return found


# --- Closed loop --------------------------------------------------------------------------------


def closed_loop(
    load_network: LoadNetwork, worlds: list[int], seed: int, found: Found
) -> list[Piece]:
    """The drives that follow from the effects in open loop."""
    pieces: list[Piece] = []
    for entries in _by_policy(found, 'open loop').values():
        first = entries[0][0]
        quick = first['quick']
        wiring = wiring_of(load_network(Path(first['policy'])))
        effects = _effects(entries)
        same = {name: first[name] for name in ('policy', 'name', 'digest', 'commands', 'quick')}
        same['means'] = np.mean([m['means'] for _, m in entries], axis=0).tolist()
        index = turning(first['commands'])
        count = QUICK_STRONGEST if quick else STRONGEST
        hidden = np.arange(wiring.output_size, wiring.units)
        neurons = hidden[np.argsort(-effects['neurons'][hidden, index])]
        pairs = [entries[0][1]['pairs'][i] for i in np.argsort(-effects['synapses'][:, index])]
        lesions: dict[str, tuple[list[int], list[Any]]] = {'nothing': ([], [])}
        for neuron in neurons[:count].tolist():
            lesions[f'neuron {called(wiring, neuron)}'] = ([neuron], [])
        for source, target in pairs[:count]:
            lesions[f'synapse {_synapse(wiring, source, target)}'] = ([], [[source, target]])
        if not quick:
            lesions |= {
                name: ([], [list(pair) for pair in pairs_of])
                for name, pairs_of in groups(wiring).items()
            }
        for name, (gone, cut) in lesions.items():
            lesion = {'what': 'drive', 'lesion': name, 'neurons': gone, 'synapses': cut}
            pieces += [{**same, **lesion, 'world': world} for world in worlds]
        rng = np.random.default_rng(seed)
        kinds = {'neurons': neurons[::-1].tolist()} | ({} if quick else {'synapses': pairs[::-1]})
        for kind, weakest in kinds.items():
            for rank in ORDERS[:1] if quick else ORDERS:
                drawn = [weakest[i] for i in rng.permutation(len(weakest))]
                chosen = weakest if rank == ORDERS[0] else drawn
                redundancy = {'what': 'redundancy', 'of': kind, 'rank': rank, 'order': chosen}
                halvings = QUICK_HALVINGS if quick else HALVINGS
                pieces.append({**same, **redundancy, 'worlds': worlds, 'halvings': halvings})
    return pieces


def _by_policy(found: Found, what: str) -> dict[str, Found]:
    groups_of: dict[str, Found] = {}
    for piece, measured in found:
        if piece['what'] == what:
            groups_of.setdefault(piece['name'], []).append((piece, measured))
    return groups_of


def _effects(entries: Found) -> dict[str, NDArray[np.float64]]:
    """Means over worlds: of neurons and of synapses, [..., commands]."""
    return {
        name: np.mean([measured[name] for _, measured in entries], axis=0)
        for name in ('neurons', 'synapses')
    }


def called(wiring: Wiring, neuron: int) -> str:
    """A neuron's layer and its number in it: command 3."""
    kind = next(name for name, neurons in wiring.layers.items() if neuron in neurons)
    return f'{kind} {list(wiring.layers[kind]).index(neuron)}'


def _synapse(wiring: Wiring, source: int, target: int) -> str:
    inputs = len(wiring.sensory_adjacency)
    known = f'input {source}' if source < inputs else called(wiring, source - inputs)
    return f'{known} → {called(wiring, target)}'


# --- Report -------------------------------------------------------------------------------------


def summarise(load_network: LoadNetwork, found: Found) -> Report:
    """Neurons and synapses by their effect, drives with lesions, and how many can go."""
    neurons: list[dict[str, Any]] = []
    of_synapses, grouped_rows, told = [], [], list[str]()
    figures = {}
    for name, entries in _by_policy(found, 'open loop').items():
        wiring = wiring_of(load_network(Path(entries[0][0]['policy'])))
        worlds = [piece['world'] for piece, _ in entries]
        commands, effects = entries[0][0]['commands'], _effects(entries)
        turns = turning(commands)
        rows: list[dict[str, Any]] = [
            {
                'policy': name,
                'neuron': called(wiring, neuron),
                **_means(commands, [m['neurons'][neuron] for _, m in entries], worlds),
                f'correlation with {commands[turns]}': float(
                    np.mean([m['correlation'][neuron] for _, m in entries])
                ),
                'activity': float(np.mean([m['activity'][neuron] for _, m in entries])),
            }
            for neuron in np.argsort(-effects['neurons'][:, turns]).tolist()
        ]
        neurons += rows
        pairs = entries[0][1]['pairs']
        of_synapses += [
            {
                'policy': name,
                'synapse': _synapse(wiring, *pairs[index]),
                **_means(commands, [m['synapses'][index] for _, m in entries], worlds),
            }
            for index in np.argsort(-effects['synapses'][:, turns]).tolist()
        ]
        grouped_rows += [
            {
                'policy': name,
                'silenced together': group,
                **_means(commands, [m['groups'][group] for _, m in entries], worlds),
            }
            for group in entries[0][1]['groups']
        ]
        carrier = next(row['neuron'] for row in rows if row['neuron'].startswith('command'))
        told.append(f'{name}: {commands[turns].replace("_", " ")} hangs most on {carrier}')
        figures[f'wiring_{name}'] = draw_effects(
            wiring,
            effects['neurons'][:, turns],
            pairs,
            effects['synapses'][:, turns],
            name,
            commands[turns],
        )
    how = (
        'Effect: root mean square of the change of a command on what an intact drive saw, in '
        'deviations of that command; in brackets 95 % by a bootstrap over worlds. Silent: '
        'passing on the mean of the drive.'
    )
    command_rows = [row for row in neurons if row['neuron'].startswith('command')]
    tables = [
        Table('command_neurons', 'Which command neurons carry which command', command_rows, how),
        Table('neurons', 'Every neuron silenced', neurons, how, listed=False),
        Table('synapses', 'Every synapse silenced', of_synapses, how, listed=False),
        Table('groups', 'Connections silenced together', grouped_rows, how),
        _drives(found),
        _redundancy(found),
    ]
    return Report('Lesions', '; '.join(told), tables, figures)


def _means(commands: list[str], values: list[list[float]], worlds: list[int]) -> dict[str, str]:
    return {
        f'effect on {command}': str(clustered_mean([v[index] for v in values], worlds))
        for index, command in enumerate(commands)
    }


def _drives(found: Found) -> Table:
    rows = []
    for name, entries in _by_policy(found, 'drive').items():
        for lesion in dict.fromkeys(piece['lesion'] for piece, _ in entries):
            of_it = [(p['world'], m) for p, m in entries if p['lesion'] == lesion]
            finished = sum(not measured['failed'] for _, measured in of_it)
            rows.append(
                {
                    'policy': name,
                    'silenced': lesion,
                    'drives': len(of_it),
                    'succeeded': str(wilson(finished, len(of_it))),
                    'offset, m': _mean(measured['offset'] for _, measured in of_it),
                    'from the target, m': _mean(measured.get('away') for _, measured in of_it),
                }
            )
    for heading in ('offset, m', 'from the target, m'):  # of robots of which none is here
        if not any(row[heading] for row in rows):
            for row in rows:
                del row[heading]
    quick = any(piece['quick'] for piece, _ in found)
    caption = (
        f'The first {QUICK_PATIENCE:g} s of a drive in each world, '
        if quick
        else 'A lap, a flight to the target or a drive to the goal in each world, '
    )
    caption += (
        'ended by the first failure. Offset: of a car from the centre line, until then. From '
    )
    caption += 'the target: of a flight, or of the rover from its goal, at the end.'
    return Table('drives', 'Drives with a lesion', rows, caption)


def _mean(values: Iterable[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    return str(clustered_mean(known, range(len(known)))) if known else None


def _redundancy(found: Found) -> Table:
    rows = [
        {
            'policy': name,
            'silenced': piece['of'],
            'of them': len(piece['order']),
            'order': piece['rank'],
            'share that can go': measured['threshold'],
            'drives': measured['drives'],
        }
        for name, entries in _by_policy(found, 'redundancy').items()
        for piece, measured in entries
    ]
    caption = (
        'Silenced together until half of the drives fail, by their effect in open loop or in a '
        'random order; motor neurons are left alone. In brackets: where that share lies.'
    )
    return Table('redundancy', 'How many can go until the drive fails', rows, caption)
