# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Solvers for the membrane equation of a liquid neuron over one elapsed time.

The equation is cm dv/dt = N(v) - D(v) v. N (what drives the neuron, leak included) and D (its
total conductance, leak included) depend on the state through the synapses. Every solver takes
`current`, which evaluates both, and splits the elapsed time into `unfolds` equal parts; Dormand
and Prince's chooses its own steps instead. All leave the state exactly as it is where the elapsed
time is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from liquid_control.common.errors import LiquidControlError

SynapticCurrent = Callable[[Tensor], tuple[Tensor, Tensor]]
Solver = Callable[[Tensor, Tensor, SynapticCurrent, Tensor, int], Tensor]


def fused(
    v: Tensor, elapsed: Tensor, current: SynapticCurrent, cm: Tensor, unfolds: int
) -> Tensor:
    """Semi-implicit Euler: v after h is (cm v + h N) / (cm + h D). The reference's solver.

    A convex combination of v and N/D, so the state keeps its bounds for any elapsed time.
    Source: Hasani, Lechner et al., "Liquid Time-constant Networks", AAAI 2021, algorithm 1.
    One evaluation per unfold.

    Args:
        v: state [batch, units].
        elapsed: seconds [batch, 1].
        current: state -> N, D, both [batch, units], D > 0.
        cm: membrane capacitance [units], positive.
        unfolds: parts of the elapsed time.
    """
    h = elapsed / unfolds
    for _ in range(unfolds):
        numerator, denominator = current(v)
        # Written as an increment: exact for h = 0, where the published form divides by zero.
        v = v + h * (numerator - denominator * v) / (cm + h * denominator)
    return v


def exponential_midpoint(
    v: Tensor, elapsed: Tensor, current: SynapticCurrent, cm: Tensor, unfolds: int
) -> Tensor:
    """Exact decay towards N/D with N and D frozen at the middle of the step; second order.

    Half a step with the N and D of its start finds the middle. Both are convex combinations of v
    and N/D, so the state keeps its bounds for any elapsed time. Two evaluations per unfold.
    """
    h = elapsed / unfolds
    for _ in range(unfolds):
        middle = _decay(v, h / 2, *current(v), cm)
        v = _decay(v, h, *current(middle), cm)
    return v


def _decay(v: Tensor, h: Tensor, numerator: Tensor, denominator: Tensor, cm: Tensor) -> Tensor:
    return v - (numerator / denominator - v) * torch.expm1(-h * denominator / cm)


def euler(
    v: Tensor, elapsed: Tensor, current: SynapticCurrent, cm: Tensor, unfolds: int
) -> Tensor:
    """Explicit Euler; first order, unstable where h D > 2 cm. One evaluation per unfold."""
    h = elapsed / unfolds
    for _ in range(unfolds):
        v = v + h * _slope(v, current, cm)
    return v


def rk4(v: Tensor, elapsed: Tensor, current: SynapticCurrent, cm: Tensor, unfolds: int) -> Tensor:
    """The classical Runge-Kutta method; fourth order, unstable where h D > 2.8 cm.

    Four evaluations per unfold. The yardstick of the others.
    """
    h = elapsed / unfolds
    for _ in range(unfolds):
        k1 = _slope(v, current, cm)
        k2 = _slope(v + h / 2 * k1, current, cm)
        k3 = _slope(v + h / 2 * k2, current, cm)
        k4 = _slope(v + h * k3, current, cm)
        v = v + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return v


def dopri5(
    v: Tensor, elapsed: Tensor, current: SynapticCurrent, cm: Tensor, unfolds: int
) -> Tensor:
    """Dormand and Prince's method with steps of its own choice; for training machines only.

    Gradients go back through every one of its operations. Needs torchdiffeq; takes no notice of
    `unfolds`.
    """
    return _adaptive(v, elapsed, current, cm)


def dopri5_adjoint(
    v: Tensor,
    elapsed: Tensor,
    current: SynapticCurrent,
    cm: Tensor,
    unfolds: int,
    tensors: Sequence[Tensor] = (),
) -> Tensor:
    """As `dopri5`, with gradients by the adjoint method: solved backwards, not remembered.

    Source: Chen et al., "Neural Ordinary Differential Equations", NeurIPS 2018.

    Args:
        tensors: all that `current` depends on besides the state, and cm: these get gradients.
    """
    return _adaptive(v, elapsed, current, cm, tuple(tensors))


def _adaptive(
    v: Tensor,
    elapsed: Tensor,
    current: SynapticCurrent,
    cm: Tensor,
    adjoint: tuple[Tensor, ...] | None = None,
) -> Tensor:
    try:
        import torchdiffeq
    except ModuleNotFoundError as error:
        raise LiquidControlError(
            'the solver dopri5 needs torchdiffeq, which is not installed: pip install torchdiffeq'
        ) from error
    # One unit of time for all sequences, of which each takes its own number of seconds.
    span = torch.tensor([0.0, 1.0], dtype=v.dtype, device=v.device)

    def slope(share: Tensor, state: Tensor) -> Tensor:
        return elapsed * _slope(state, current, cm)

    options = {'rtol': TOLERANCE, 'atol': TOLERANCE, 'method': 'dopri5'}
    if adjoint is None:
        return torchdiffeq.odeint(slope, v, span, **options)[-1]
    wanted = tuple(tensor for tensor in adjoint if tensor.requires_grad)
    return torchdiffeq.odeint_adjoint(slope, v, span, adjoint_params=wanted, **options)[-1]


def _slope(v: Tensor, current: SynapticCurrent, cm: Tensor) -> Tensor:
    numerator, denominator = current(v)
    return (numerator - denominator * v) / cm


SOLVERS: dict[str, Solver] = {
    'fused': fused,
    'exponential_midpoint': exponential_midpoint,
    'euler': euler,
    'rk4': rk4,
    'dopri5': dopri5,
    'dopri5_adjoint': dopri5_adjoint,
}

# Those with steps that are known beforehand have a compiled form; the first two, which keep the
# bounds for any elapsed time, have a kernel too.
COMPILED = ('exponential_midpoint', 'fused', 'euler', 'rk4')

# Relative and absolute error of a step that is let pass; what float32 can hold.
TOLERANCE = 1e-6

# For new policies: nearer the exact solution than six fused steps at every control rate from 10 to
# 100 Hz, with four evaluations instead of six (`evaluate solvers`). The layers default to the
# reference's solver.
POLICY_SOLVER = 'exponential_midpoint'
POLICY_UNFOLDS = 2
