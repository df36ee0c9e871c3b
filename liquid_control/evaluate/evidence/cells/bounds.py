# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a policy can never do, whatever it sees: certified bounds of its states and commands.

Everything holds for all inputs of the core within [-1, 1], which is all that the scaling lets
through (images become features within it, other sensors pass a tanh), for all elapsed times of
the contract, and for the float32 arithmetic of the robot. A search by random and by
gradient-guided inputs then tries to find something beyond the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from liquid_control.contract.bundle import load_bundle
from liquid_control.evaluate.evidence.cells.steps import (
    array,
    heads,
    layer_step,
    lrc_pull,
    opened,
    readout,
)
from liquid_control.evaluate.evidence.intervals import (
    Box,
    Floats,
    box,
    hull,
    scaled,
    tanh,
    variables,
)
from liquid_control.evaluate.evidence.study import Measured, Piece, Report, Study, Table
from liquid_control.nn.cfc import CfCCell, WiredCfCCell
from liquid_control.nn.lrc import LRCCell
from liquid_control.nn.ltc import LTCCell
from liquid_control.nn.ode import CTRNNCell
from liquid_control.nn.policy import PolicyNetwork

LoadNetwork = Callable[[Path], PolicyNetwork]

# Steps until a set of states must hold itself, and until what grows is given up.
ROUNDS, TRIED_EVERY, ROOM, GIVEN_UP = 100, 5, 1e-3, 1e6
CHANGE, STEPS = 0.001, (1, 2, 5, 10, 20)
SEARCHED, QUICK_SEARCHED = 1_000_000, 20_000
BATCH, ASCENT = 2000, 20
# A float32 step and its bound in float64 are compared to this; bounds hold float32's rounding.
TOLERANCE = 0.0


@dataclass(frozen=True)
class Certificate:
    """Bounds of one policy.

    Attributes:
        states: a set that holds every state from zeros on and is never left; None: none found.
        reached: bounds of the states after `ROUNDS` steps from zeros, where there is no such set.
        commands: bounds of the commands, in their units.
        command_rate: most that a command changes, in its unit, for each input and each number of
            the state before, [inputs + state, commands].
        state_rate: the same for the numbers of the state after the step.
    """

    states: Box | None
    reached: Box
    commands: Box
    command_rate: Floats
    state_rate: Floats


def certify(network: PolicyNetwork, elapsed_range: tuple[float, float]) -> Certificate:
    """Bounds for all inputs within [-1, 1] and all elapsed times within the range."""
    x = _inputs(network)
    elapsed = box([elapsed_range[0]], [elapsed_range[1]])
    states, reached = never_left(network, x, elapsed)
    inputs, state = variables(x, states or reached)
    after = layer_step(network.cell, inputs, state, elapsed)
    command = commands(network, after)
    return Certificate(
        states=states,
        reached=reached,
        commands=command,
        command_rate=_largest_slope(command),
        state_rate=_largest_slope(after),
    )


def _inputs(network: PolicyNetwork) -> Box:
    ones = np.ones(network.cell.input_size)
    return box(-ones, ones)


def commands(network: PolicyNetwork, state: Box) -> Box:
    """Commands of the state after a step, in their units."""
    gain, bias, low, high = (
        array(part) for part in (network.gain, network.bias, network.low, network.high)
    )
    share = tanh(scaled(readout(network.cell, state), gain, bias))
    found = scaled(share, (high - low) / 2, (high + low) / 2)
    return Box(np.maximum(found.low, low), np.minimum(found.high, high), found.slope)


def never_left(network: PolicyNetwork, x: Box, elapsed: Box) -> tuple[Box | None, Box]:
    """A set of states that holds zeros and whatever a step makes of it, or where steps led to.

    States are gathered until they hardly grow; a little more room is then tried as the set.
    """
    zeros = np.zeros(network.state_size)
    states = box(zeros)
    further = 10.0
    for count in range(1, ROUNDS + 1):
        after = hull(states, layer_step(network.cell, x, states, elapsed))
        down, up = states.low - after.low, after.high - states.high
        states = after
        if not states.magnitude.max() < GIVEN_UP:
            break
        if count % TRIED_EVERY == 0:
            # So many steps further, as fast as it grows now, must be enough.
            wider = box(states.low - further * down - ROOM, states.high + further * up + ROOM)
            again = layer_step(network.cell, x, wider, elapsed)
            if (again.low >= wider.low).all() and (again.high <= wider.high).all():
                return tightened(network, x, elapsed, wider), states
            further *= 4
    return None, states


def tightened(network: PolicyNetwork, x: Box, elapsed: Box, states: Box) -> Box:
    """A smaller set that is not left either: what a step makes of it, with zeros."""
    for _ in range(20):
        after = layer_step(network.cell, x, states, elapsed)
        smaller = Box(
            np.maximum(states.low, np.minimum(after.low, 0.0)),
            np.minimum(states.high, np.maximum(after.high, 0.0)),
        )
        # A step keeps subsets within what it makes of the whole, so this is not left either.
        if (states.magnitude - smaller.magnitude).max() < 1e-4:
            return smaller
        states = smaller
    return states


def _largest_slope(values: Box) -> Floats:
    if values.slope is None:
        raise ValueError('these values depend on no variable')
    return np.maximum(np.abs(values.slope[0]), np.abs(values.slope[1]))


def change_of_commands(
    certificate: Certificate, change: float, seen: int, inputs: int, ranges: Floats
) -> dict[int, Floats]:
    """Most that commands differ after n steps in which the first `seen` inputs differ by `change`.

    From the same state; never more than the commands' own `ranges`.
    """
    differs = np.zeros(inputs)
    differs[:seen] = change
    rate, own = certificate.state_rate, certificate.command_rate
    state, found = np.zeros(len(rate) - inputs), {}
    for step in range(1, max(STEPS) + 1):
        given = differs @ own[:inputs] + state @ own[inputs:]
        if step in STEPS:
            found[step] = np.minimum(given, ranges)
        with np.errstate(over='ignore', invalid='ignore'):
            state = np.nan_to_num(differs @ rate[:inputs] + state @ rate[inputs:], nan=np.inf)
            state = np.minimum(state, 1e12)
    return found


def theorem(cell: LTCCell, start: float = 0.0) -> tuple[Floats, Floats]:
    """The bounds of the states that need no arithmetic: leak and reversal potentials, and start.

    Source: Hasani, Lechner et al., AAAI 2021, theorem 2.
    """
    p = cell.effective_parameters()
    pulls = [array(p.vleak)[None], np.full((1, cell.state_size), start)]
    for w, erev in ((p.w, p.erev), (p.sensory_w, p.sensory_erev)):
        pulls.append(np.where(array(w) > 0, array(erev), start))
    both = np.concatenate(pulls)
    return both.min(axis=0), both.max(axis=0)


def time_constants(cell: object, x: Box, states: Box) -> dict[str, tuple[Floats, Floats]]:
    """Shortest and longest time constant of every neuron, s: by theorem and by intervals.

    A CfC has none; what its gate moves at is the rate of its logit, of which this is the inverse.
    """
    if isinstance(cell, LTCCell):
        p = cell.effective_parameters()
        cm, leak = array(p.cm), array(p.gleak)
        all_open = leak + array(p.w).sum(axis=0) + array(p.sensory_w).sum(axis=0)
        conductance = opened(cell, x, states).conductance
        return {
            'theorem': (cm / all_open, cm / leak),
            'intervals': (cm / conductance.high, cm / conductance.low),
        }
    if isinstance(cell, CTRNNCell):
        tau = array(cell.capacitance)
        return {'intervals': (tau, tau)}
    if isinstance(cell, LRCCell):
        _, rate = lrc_pull(cell, x, states)
        return {'intervals': (1 / rate.high, 1 / rate.low)}
    if not isinstance(cell, CfCCell | WiredCfCCell):
        return {}
    layers = cell.layers if isinstance(cell, WiredCfCCell) else [cell]
    shortest, start = [], 0
    for layer in layers:
        own = states[start : start + layer.state_size]
        rate = heads(layer.equations(), x, own)[2]
        shortest.append(1 / np.maximum(rate.magnitude, 1e-12))
        x, start = own, start + layer.state_size
    low = np.concatenate(shortest)
    return {'intervals': (low, np.full_like(low, np.inf))}


def flow_rate(cell: LTCCell, states: Box) -> float:
    """Lipschitz constant of the right-hand side by the state, 1/s (largest row sum).

    Where it is finite the equation has one solution and no other (Picard and Lindelöf).
    """
    p = {name: array(value) for name, value in cell.effective_parameters()._asdict().items()}
    way = np.maximum(np.abs(p['erev'] - states.low), np.abs(p['erev'] - states.high))
    recurrent = (p['w'] * np.abs(p['sigma']) / 4 * way).sum(axis=0)
    leak = p['gleak'] + p['w'].sum(axis=0) + p['sensory_w'].sum(axis=0)
    return float(((recurrent + leak) / p['cm']).max())


# --- Search for something beyond the bounds ------------------------------------------------------


@dataclass(frozen=True)
class Search:
    """What a search for violations came to.

    Attributes:
        tried: steps that were computed.
        violations: of those, how many had a state or a command beyond its bounds.
        changes: pairs of steps whose commands differ by more than was certified.
        share: how much of the certified range the found states, commands and changes take up,
            at most.
    """

    tried: int
    violations: int
    changes: int
    share: dict[str, float]


def search(
    network: PolicyNetwork,
    certificate: Certificate,
    elapsed_range: tuple[float, float],
    *,
    count: int,
    seed: int = 0,
) -> Search:
    """Try to refute a certificate: random inputs, and inputs led by gradients to the edge."""
    states = certificate.states or certificate.reached
    generator = torch.Generator().manual_seed(seed)
    batch = min(BATCH, count)
    low, high = (torch.tensor(end, dtype=torch.float32) for end in (states.low, states.high))
    inputs, tried, violations, changes = network.cell.input_size, 0, 0, 0
    found_low = np.full(len(low), np.inf)
    found_high = -found_low
    most_change = np.zeros(len(network.low))
    # The bounds of a step from all of these states, not only of those that stay.
    x, elapsed = _inputs(network), box([elapsed_range[0]], [elapsed_range[1]])
    beyond = layer_step(network.cell, x, states, elapsed)
    rate = certificate.command_rate
    allowed = np.full(inputs, CHANGE) @ rate[:inputs]

    def draw(shape: tuple[int, ...], low: Tensor, high: Tensor) -> Tensor:
        uniform = torch.rand(shape, generator=generator)
        # Half of them at the ends, where the extremes of monotone functions are.
        ends = (torch.rand(shape, generator=generator) < 0.5).float()
        pick = torch.rand((shape[0], 1), generator=generator) < 0.5
        return low + torch.where(pick, uniform, ends) * (high - low)

    ones = torch.ones(inputs)
    while tried < count:
        u, s = draw((batch, inputs), -ones, ones), draw((batch, len(low)), low, high)
        bounds = (torch.tensor([end]) for end in elapsed_range)
        seconds = draw((batch, 1), *bounds)
        if tried // batch % 2:
            u, s = _led(network, u, s, seconds, (low, high), generator)
            tried += ASCENT * batch
        command, after = _step(network, u, s, seconds)
        tried += batch
        inside = beyond.contains(after).all(axis=1) & certificate.commands.contains(command).all(1)
        violations += int((~inside).sum())
        found_low = np.minimum(found_low, after.min(axis=0))
        found_high = np.maximum(found_high, after.max(axis=0))
        other = (u + CHANGE * torch.sign(torch.randn(u.shape, generator=generator))).clamp(-1, 1)
        moved, _ = _step(network, other, s, seconds)
        tried += batch
        difference = np.abs(moved - command)
        most_change = np.maximum(most_change, difference.max(axis=0))
        # Two commands of float32: each with its own rounding.
        slack = 4 * np.finfo(np.float32).eps * np.maximum(1, certificate.commands.magnitude)
        changes += int((difference > allowed + 4 * slack + 1e-5).any(axis=1).sum())
    width = np.maximum(beyond.high - beyond.low, 1e-12)
    share = {
        'states': float(((found_high - found_low) / width).max()),
        'changes': float((most_change / np.maximum(allowed, 1e-12)).max()),
    }
    return Search(tried, violations, changes, share)


@torch.no_grad()
def _step(network: PolicyNetwork, u: Tensor, s: Tensor, seconds: Tensor) -> tuple[Floats, Floats]:
    outputs, after = network.cell.step(u, network.cell.unpack(s), seconds)
    return tuple(  # type: ignore[return-value]
        part.double().numpy() for part in (network.commands(outputs), network.cell.pack(after))
    )


def _led(
    network: PolicyNetwork,
    u: Tensor,
    s: Tensor,
    seconds: Tensor,
    bounds: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Inputs and states moved uphill, each sequence towards an end of a neuron of its own."""
    targets = torch.randint(0, s.shape[1], (len(s),), generator=generator)
    sign = torch.randint(0, 2, (len(s),), generator=generator) * 2 - 1
    for _ in range(ASCENT):
        u, s = u.detach().requires_grad_(), s.detach().requires_grad_()
        _, after = network.cell.step(u, network.cell.unpack(s), seconds)
        after = network.cell.pack(after)
        wanted = (after[torch.arange(len(s)), targets] * sign).sum()
        by_input, by_state = torch.autograd.grad(wanted, (u, s), allow_unused=True)
        with torch.no_grad():
            if by_input is not None:
                u = (u + 0.2 * by_input.sign()).clamp(-1, 1)
            if by_state is not None:
                s = s + 0.2 * by_state.sign() * (bounds[1] - bounds[0])
                s = torch.minimum(torch.maximum(s, bounds[0]), bounds[1])
    return u.detach(), s.detach()


# --- The study -----------------------------------------------------------------------------------


def study(bundles: list[Path], load: LoadNetwork, *, seed: int = 0, quick: bool = False) -> Study:
    """Bounds of policies.

    Args:
        load: a bundle's network in torch.

    Raises:
        BundleError: a policy is not one network, or is damaged.
    """
    for path in bundles:
        load(path)  # now rather than after the first bounds
    count = QUICK_SEARCHED if quick else SEARCHED
    pieces: list[Piece] = [
        {
            'policy': str(path),
            'digest': load_bundle(path).digest,
            'searched': count,
            'seed': seed,
        }
        for path in bundles
    ]
    return Study('bounds', partial(measure, load), pieces, summarise)


def measure(load: LoadNetwork, piece: Piece) -> Measured:
    """Certificate and search of one policy, as plain data."""
    path = Path(piece['policy'])
    contract, network = load_bundle(path).contract, load(path)
    elapsed = contract.elapsed_range
    certificate = certify(network, elapsed)
    states = certificate.states or certificate.reached
    tried = search(network, certificate, elapsed, count=piece['searched'], seed=piece['seed'])
    low, high = array(network.low), array(network.high)
    inputs, cell = network.cell.input_size, network.cell.rnn_cell
    # What comes from encoders comes first; where there are none every input is meant.
    encoded = [spec for spec in network.config.inputs.values() if spec.encoder]
    seen = sum(spec.core_width for spec in encoded) or inputs
    changes = change_of_commands(certificate, CHANGE, seen, inputs, high - low)
    single = certificate.command_rate[:seen].max(axis=0) * CHANGE
    neurons = network.cell.state_size
    own = states[:neurons]
    found: Measured = {
        'cell': network.config.cell,
        'never_left': certificate.states is not None,
        'states': [states.low.tolist(), states.high.tolist()],
        'commands': [certificate.commands.low.tolist(), certificate.commands.high.tolist()],
        'command_names': [f'{command.name}, {command.unit}' for command in contract.commands],
        'ranges': [low.tolist(), high.tolist()],
        'single': np.minimum(single, high - low).tolist(),
        'changes': {str(step): values.tolist() for step, values in changes.items()},
        'lipschitz': float(certificate.state_rate.sum(axis=0).max()),
        'tried': tried.tried,
        'violations': tried.violations + tried.changes,
        'share': tried.share,
        'tau': {
            name: [np.minimum(end, 1e9).tolist() for end in ends]
            for name, ends in time_constants(cell, _inputs(network), own).items()
        },
    }
    if isinstance(cell, LTCCell):
        found['theorem'] = [end.tolist() for end in theorem(cell)]
        found['flow_rate'] = flow_rate(cell, own)
    return found


def summarise(found: list[tuple[Piece, Measured]]) -> Report:
    """What holds for each policy, and its neurons one by one."""
    rows, changes, neurons = [], [], []
    for piece, entry in found:
        name = piece['name']
        low, high = (np.array(end) for end in entry['states'])
        by_theorem = entry.get('theorem')
        rows.append(
            {
                'policy': name,
                'cell': entry['cell'],
                'states, for ever': _range(low, high) if entry['never_left'] else 'no bound',
                'by theorem': _range(*map(np.array, by_theorem)) if by_theorem else None,
                'Lipschitz': entry['lipschitz'],
                'of the flow, 1/s': entry.get('flow_rate'),
                'tried': entry['tried'],
                'violations': entry['violations'],
                'found: states': entry['share']['states'],
                'changes': entry['share']['changes'],
            }
        )
        for index, command in enumerate(entry['command_names']):
            changes.append(
                {
                    'policy': name,
                    'command': command,
                    'least': entry['commands'][0][index],
                    'most': entry['commands'][1][index],
                    'one feature': entry['single'][index],
                    **{
                        f'all, {step} steps': values[index]
                        for step, values in entry['changes'].items()
                    },
                }
            )
        neurons += _neurons(name, entry)
    failed = any(entry['violations'] for _, entry in found)
    tables = [
        Table(
            'bounds',
            'Bounds of policies',
            rows,
            'For all inputs of the core within [-1, 1] and all elapsed times of the contract; '
            'Lipschitz: most change of a state number for a change of 1 in every input and state '
            'number. Found: the share of the certified range that the search reached.',
        ),
        Table(
            'commands',
            f'Commands, and most that they change where features change by {CHANGE:g}',
            changes,
            'One feature: the most telling one, in one step. All: every feature, in each of so '
            'many steps from the same state; the range where nothing less is certain.',
        ),
        Table('neurons', 'Neurons: states and time constants, s', neurons, listed=False),
    ]
    verdict = 'a bound was violated' if failed else 'no violation found'
    tried = sum(entry['tried'] for _, entry in found)
    scores = {
        piece['name']: {
            'states, for ever': _ends(entry['states']) if entry['never_left'] else 'no bound',
            'first command within': (entry['commands'][0][0], entry['commands'][1][0]),
        }
        for piece, entry in found
    }
    said = f'{verdict} in {tried:,} steps'
    return Report('Certified bounds', said, tables, failed=failed, scores=scores)


def _ends(states: list[list[float]]) -> tuple[float, float]:
    return min(states[0]), max(states[1])


def _neurons(policy: str, entry: Measured) -> list[dict[str, Any]]:
    rows = []
    tau = entry['tau']
    for index in range(len(next(iter(tau.values()))[0]) if tau else 0):
        row: dict[str, Any] = {'policy': policy, 'neuron': index}
        row |= {'least': entry['states'][0][index], 'most': entry['states'][1][index]}
        if 'theorem' in entry:
            row |= {
                f'theorem {e}': entry['theorem'][i][index] for i, e in enumerate(('least', 'most'))
            }
        for name, ends in tau.items():
            row |= {f'tau, {name}': f'{ends[0][index]:.3g} to {_end(ends[1][index])}'}
        rows.append(row)
    return rows


def _end(seconds: float) -> str:
    return '∞' if seconds >= 1e9 or math.isinf(seconds) else f'{seconds:.3g}'


def _range(low: Floats, high: Floats) -> str:
    return f'[{low.min():.3g}, {high.max():.3g}]'
