# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""LTC's recurrence in Triton: one program takes one episode through all its steps.

The potentials of every evaluation lie in `trace` [evaluations + 1, batch, units]; through it the
program's threads also hand them from targets to sources. Matrices are dense [source, target] with
w zero where no synapse is. Sources are taken in blocks of SOURCES, targets all at once.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _drive(at, j, n, mu, sigma, w, erev, numerator, denominator, SOURCES: tl.constexpr):
    """Adds what the potentials at `at` drive and open in the targets j."""
    for first in range(0, n, SOURCES):
        i = first + tl.arange(0, SOURCES)
        here = (i < n)[:, None] & (j < n)[None, :]
        p = i[:, None] * n + j[None, :]
        v = tl.load(at + i, mask=i < n, other=0.0)
        z = tl.load(sigma + p, mask=here, other=0.0) * (
            v[:, None] - tl.load(mu + p, mask=here, other=0.0)
        )
        conductance = tl.load(w + p, mask=here, other=0.0) * tl.sigmoid(z)
        numerator += tl.sum(conductance * tl.load(erev + p, mask=here, other=0.0), axis=0)
        denominator += tl.sum(conductance, axis=0)
    return numerator, denominator


@triton.jit
def _pull(at, out, j, n, mu, sigma, w, erev, by_num, by_den, SOURCES: tl.constexpr):
    """Gradient of the potentials at `at`, from that of the numerators and denominators."""
    for first in range(0, n, SOURCES):
        i = first + tl.arange(0, SOURCES)
        here = (i < n)[:, None] & (j < n)[None, :]
        p = i[:, None] * n + j[None, :]
        v = tl.load(at + i, mask=i < n, other=0.0)
        slope = tl.load(sigma + p, mask=here, other=0.0)
        y = tl.sigmoid(slope * (v[:, None] - tl.load(mu + p, mask=here, other=0.0)))
        arriving = by_num[None, :] * tl.load(erev + p, mask=here, other=0.0) + by_den[None, :]
        g = tl.load(w + p, mask=here, other=0.0) * slope * y * (1 - y) * arriving
        tl.store(out + i, tl.sum(g, axis=1), mask=i < n)
    tl.debug_barrier()
    pulled = tl.load(out + j, mask=j < n, other=0.0)
    tl.debug_barrier()
    return pulled


@triton.jit
def _next(v, num, den, cm, h, MIDPOINT: tl.constexpr):
    if MIDPOINT:
        rest = num / den
        return rest + (v - rest) * tl.exp(-h * den / cm)
    return v + h * (num - den * v) / (cm + h * den)


@triton.jit
def _derivatives(v, num, den, cm, h, MIDPOINT: tl.constexpr):
    """Of `_next` by v, num, den, cm and h."""
    if MIDPOINT:
        a, rest = h * den / cm, num / den
        decay = tl.exp(-a)
        # 1 - exp(-a) loses digits where a is small.
        series = a * (1 - a / 2 * (1 - a / 3 * (1 - a / 4 * (1 - a / 5))))
        gone = tl.where(a < 0.01, series, 1 - decay)
        fall = (rest - v) * decay
        by_den = fall * h / cm - rest / den * gone
        return decay, gone / den, by_den, -fall * a / cm, fall * den / cm
    scale = 1 / (cm + h * den)
    slope = (num - den * v) * scale
    by_num = h * scale
    return cm * scale, by_num, -(v + h * slope) * by_num, -h * slope * scale, cm * slope * scale


@triton.jit
def forward(
    trace, numerators, denominators, elapsed, cm_of, mu, sigma, w, erev,
    steps, batch, n, unfolds,
    MIDPOINT: tl.constexpr, TARGETS: tl.constexpr, SOURCES: tl.constexpr,
):  # fmt: skip
    """Fills `trace` from its first slot on.

    numerators, denominators: [steps, batch, units], what does not depend on the state.
    """
    b = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, TARGETS)
    real = j < n
    cm = tl.load(cm_of + j, mask=real, other=1.0)
    at = trace + b * n
    for t in range(steps):
        row = (t * batch + b) * n + j
        fixed_num = tl.load(numerators + row, mask=real, other=0.0)
        fixed_den = tl.load(denominators + row, mask=real, other=1.0)
        h = tl.load(elapsed + t * batch + b) / unfolds
        for _ in range(unfolds):
            v = tl.load(at + j, mask=real, other=0.0)
            num, den = _drive(at, j, n, mu, sigma, w, erev, fixed_num, fixed_den, SOURCES)
            if MIDPOINT:
                at += batch * n
                tl.store(at + j, _next(v, num, den, cm, h / 2, MIDPOINT), mask=real)
                tl.debug_barrier()
                num, den = _drive(at, j, n, mu, sigma, w, erev, fixed_num, fixed_den, SOURCES)
            at += batch * n
            tl.store(at + j, _next(v, num, den, cm, h, MIDPOINT), mask=real)
            tl.debug_barrier()


@triton.jit
def backward(
    trace, numerators, denominators, elapsed, cm_of, mu, sigma, w, erev,
    steps, batch, n, unfolds,
    grad_states, by_num_of, by_den_of, by_cm_of, by_elapsed, by_state, scratch,
    MIDPOINT: tl.constexpr, TARGETS: tl.constexpr, SOURCES: tl.constexpr,
):  # fmt: skip
    """Gradients of everything but the synapses, and what they follow from.

    by_num_of, by_den_of: [evaluations, batch, units], gradients of numerators and denominators.
    by_cm_of, by_state, scratch: [batch, units]. by_elapsed: [steps, batch].
    """
    b = tl.program_id(0).to(tl.int64)
    j = tl.arange(0, TARGETS)
    real = j < n
    cm = tl.load(cm_of + j, mask=real, other=1.0)
    own = scratch + b * n
    grad = tl.zeros_like(cm)
    grad_cm = tl.zeros_like(cm)
    evaluations = unfolds * 2 if MIDPOINT else unfolds
    slot = (steps * evaluations * batch + b) * n
    for back in range(steps):
        t = steps - 1 - back
        row = (t * batch + b) * n + j
        fixed_num = tl.load(numerators + row, mask=real, other=0.0)
        fixed_den = tl.load(denominators + row, mask=real, other=1.0)
        h = tl.load(elapsed + t * batch + b) / unfolds
        grad += tl.load(grad_states + row, mask=real, other=0.0)
        grad_h = tl.zeros_like(cm)
        for _ in range(unfolds):
            slot -= batch * n
            kept = tl.zeros_like(cm)
            if MIDPOINT:
                at = trace + slot
                v = tl.load(at - batch * n + j, mask=real, other=0.0)
                num, den = _drive(at, j, n, mu, sigma, w, erev, fixed_num, fixed_den, SOURCES)
                by_v, by_num, by_den, by_cm, by_h = _derivatives(v, num, den, cm, h, MIDPOINT)
                tl.store(by_num_of + slot + j, grad * by_num, mask=real)
                tl.store(by_den_of + slot + j, grad * by_den, mask=real)
                grad_cm += grad * by_cm
                grad_h += grad * by_h
                kept = grad * by_v
                grad = _pull(
                    at, own, j, n, mu, sigma, w, erev, grad * by_num, grad * by_den, SOURCES
                )
                slot -= batch * n
            at = trace + slot
            v = tl.load(at + j, mask=real, other=0.0)
            share = 0.5 if MIDPOINT else 1.0
            num, den = _drive(at, j, n, mu, sigma, w, erev, fixed_num, fixed_den, SOURCES)
            by_v, by_num, by_den, by_cm, by_h = _derivatives(v, num, den, cm, h * share, MIDPOINT)
            tl.store(by_num_of + slot + j, grad * by_num, mask=real)
            tl.store(by_den_of + slot + j, grad * by_den, mask=real)
            grad_cm += grad * by_cm
            grad_h += grad * by_h * share
            kept += grad * by_v
            grad = kept + _pull(
                at, own, j, n, mu, sigma, w, erev, grad * by_num, grad * by_den, SOURCES
            )
        tl.store(by_elapsed + t * batch + b, tl.sum(grad_h, axis=0) / unfolds)
    tl.store(by_cm_of + b * n + j, grad_cm, mask=real)
    tl.store(by_state + b * n + j, grad, mask=real)
