// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
// What the LTC kernel is given, and the calculus of one synapse and one solver step.
#pragma once

#include "simd.hpp"

enum Solver { kFused = 0, kMidpoint = 1 };

template <class T>
struct Synapses {
  int64_t sources, count;
  const int64_t* first;                           // [units + 1] first synapse of each target
  const int64_t* source;                          // [count]
  const T *mu, *sigma, *w, *erev;                 // [count]
  T *grad_mu, *grad_sigma, *grad_w, *grad_erev;   // [count]
};

template <class T>
struct Ltc {
  int64_t batch, steps, units, unfolds, solver, threads, keep;
  int64_t row_step, row_batch;  // row of (step, episode) = step * row_step + episode * row_batch
  Synapses<T> recurrent, sensory;
  const T *cm, *leak, *leak_rev;                  // [units]; leak_rev = gleak * vleak
  const T* inputs;                                // [rows, sources]
  const T* elapsed;                               // [steps, batch] s
  int64_t elapsed_step, elapsed_batch;            // strides, may be 0
  const T* state;                                 // [batch, units]
  T *states, *trace, *scratch;                    // states [rows, units]
  const T* grad_states;                           // [rows, units]
  T *grad_cm, *grad_leak, *grad_leak_rev;         // [units]
  T *grad_inputs, *grad_elapsed;                  // [rows, sources], [rows]
  T* grad_state;                                  // [batch, units]

  int64_t evaluations() const { return unfolds * (solver == kMidpoint ? 2 : 1); }
};

template <class T>
struct Packed {  // the constants of one synapse, side by side
  T mu, scale, w, w_erev, erev, w_sigma;
  int64_t source;

  Vec<T> activation(Vec<T> v) const { return 1 / (1 + power(scale * (v - mu))); }
};

// (1 - exp(-a)) / a and its derivative, accurate down to a = 0.
template <class T>
struct Phi {
  Vec<T> value, slope;
  Phi(Vec<T> a, Vec<T> decay) {
    constexpr int kTerms = sizeof(T) == 4 ? 10 : 18;
    Vec<T> series = splat<T>(0), series_slope = splat<T>(0);
    T coefficient[kTerms + 1] = {1};
    for (int k = 1; k <= kTerms; ++k) coefficient[k] = coefficient[k - 1] / -T(k + 1);
    for (int k = kTerms; k >= 0; --k) {
      series_slope = series_slope * a + series;
      series = series * a + coefficient[k];
    }
    const auto small = (a < 0 ? -a : a) < T(0.5);
    value = small ? series : (1 - decay) / a;
    slope = small ? series_slope : (decay * (a + 1) - 1) / (a * a);
  }
};

// One substep h of one neuron, cm dv/dt = num - den v with num and den held, and its derivatives.
template <class T>
struct Substep {
  Vec<T> by_v, by_num, by_den, by_cm, by_h;

  static Vec<T> next(int64_t solver, Vec<T> v, Vec<T> num, Vec<T> den, T cm, Vec<T> h) {
    if (solver == kFused) return v + h * (num - den * v) / (cm + h * den);  // exact for h = 0
    const Vec<T> rate = h / cm, a = rate * den, decay = exp<T>(-a);
    return v * decay + num * rate * Phi<T>(a, decay).value;
  }

  Substep(int64_t solver, Vec<T> v, Vec<T> num, Vec<T> den, T cm, Vec<T> h) {
    if (solver == kFused) {
      const Vec<T> scale = 1 / (cm + h * den), slope = (num - den * v) * scale;
      by_v = cm * scale;
      by_num = h * scale;
      by_den = -(v + h * slope) * by_num;
      by_cm = -h * slope * scale;
      by_h = cm * slope * scale;
    } else {
      const Vec<T> rate = h / cm, a = rate * den, decay = exp<T>(-a);
      const Phi<T> phi(a, decay);
      const Vec<T> by_a = num * rate * phi.slope - v * decay;
      const Vec<T> by_rate = by_a * den + num * phi.value;
      by_v = decay;
      by_num = rate * phi.value;
      by_den = by_a * rate;
      by_cm = -by_rate * rate / cm;
      by_h = by_rate / cm;
    }
  }
};

// Sums over time and lanes from which a synapse's gradients follow, with s its activation, n and d the
// gradients of the numerator and denominator it feeds: s n, s d, s'(n erev + d), the same times (v - mu).
template <class T>
struct SynapseGradient {
  Vec<T> sums[4] = {};

  Vec<T> add(const Packed<T>& syn, Vec<T> v, Vec<T> s, Vec<T> num, Vec<T> den) {
    const Vec<T> pull = (s - s * s) * (num * syn.erev + den);
    sums[0] += s * num;
    sums[1] += s * den;
    sums[2] += pull;
    sums[3] += pull * (v - syn.mu);
    return pull * syn.w_sigma;  // the gradient of v
  }
  void add_to_total(T* out) const { add_to(out, fold(sums[0], sums[1], sums[2], sums[3])); }
};
