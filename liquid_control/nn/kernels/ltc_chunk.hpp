// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
// L episodes through all their steps, side by side in the lanes of the vectors, forward and backward.
//
// Synapses are sorted by target. The forward pass keeps the membrane potential at each evaluation of
// the equation and the sensory sums; activations are computed again on the way back, target by target,
// so nothing of the size of the synapses is ever stored per step.
#pragma once

#include <algorithm>
#include <utility>

#include "ltc.hpp"

constexpr int64_t kTile = 16;  // steps whose sensory part is computed at once

template <class T, int L>
class Chunk {
  static constexpr int kW = kWidth<T>, kBlocks = L / kW;
  const Ltc<T>& net;
  const int64_t n, f, first, lanes;
  const Packed<T>*recurrent, *sensory;

 public:
  Chunk(const Ltc<T>& net, int64_t index, const Packed<T>* recurrent, const Packed<T>* sensory)
      : net(net), n(net.units), f(net.sensory.sources), first(index * L),
        lanes(std::min<int64_t>(L, net.batch - first)), recurrent(recurrent), sensory(sensory) {}

  static int64_t trace_size(const Ltc<T>& net) {
    return net.units * L * (net.steps * net.evaluations() + 1 + 2 * net.steps);
  }
  static int64_t forward_size(const Ltc<T>& net) {
    return L * (kTile * net.sensory.sources + (net.keep ? 0 : net.units * (3 + 2 * kTile)));
  }
  static int64_t backward_size(const Ltc<T>& net) {
    return L * (2 * kTile * net.sensory.sources + net.units * (5 + 2 * kTile)) +
           kW * net.recurrent.count;
  }

  void forward(T* trace, T* scratch) const {
    T* u = scratch;                        // [f, tile, L]
    T* slots = net.keep ? trace : u + f * kTile * L;
    const int64_t span = net.keep ? net.steps * L : kTile * L;
    T* num = slots + n * L * (net.keep ? net.steps * net.evaluations() + 1 : 3);  // [n, span]
    T* den = num + n * span;
    const auto slot = [&](int64_t i) { return slots + n * L * (net.keep ? i : i % 3); };

    int64_t e = 0;  // counts evaluations
    scatter(net.state, slot(0));
    for (int64_t t = 0; t < net.steps; ++t) {
      const int64_t tile = t % kTile, at_tile = net.keep ? t - tile : 0;
      if (tile == 0) {
        const int64_t steps = std::min(kTile, net.steps - t);
        load_inputs(t, steps, u);
        sense(u, steps * L, num + at_tile * L, den + at_tile * L, span);
      }
      Vec<T> dt[kBlocks];
      load_elapsed(t, dt);
      for (int64_t last = e + net.evaluations(); e < last; ++e) {
        const bool half = net.solver == kMidpoint && e % 2 == 0;
        const bool full = net.solver == kMidpoint && e % 2 == 1;
        const T *at = slot(e), *base = slot(full ? e - 1 : e);
        T* next = slot(e + 1);
        for (int64_t j = 0; j < n; ++j) {
          Vec<T> a[kBlocks], b[kBlocks];
          const int64_t row = j * span + (at_tile + tile) * L;
          read(num + row, a);
          read(den + row, b);
          for (int64_t s = net.recurrent.first[j]; s < net.recurrent.first[j + 1]; ++s) {
            const Packed<T> syn = recurrent[s];
            for (int k = 0; k < kBlocks; ++k) {
              const Vec<T> y = syn.activation(load(at + syn.source * L + k * kW));
              a[k] += syn.w_erev * y;
              b[k] += syn.w * y;
            }
          }
          for (int k = 0; k < kBlocks; ++k)
            store(next + j * L + k * kW,
                  Substep<T>::next(net.solver, load(base + j * L + k * kW), a[k], b[k], net.cm[j],
                                   half ? dt[k] / 2 : dt[k]));
        }
      }
      gather(slot(e), net.states + t * net.row_step * n, net.row_batch);
    }
  }

  // Adds to the sums of synapses and neurons ([count, kW] and [3, n]).
  void backward(const T* trace, T* scratch, T* recurrent_sums, T* sensory_sums, T* neuron_sums) const {
    const int64_t span = net.steps * L;
    const T* num = trace + n * L * (net.steps * net.evaluations() + 1);
    const T* den = num + n * span;
    T* u = scratch;                        // [f, tile, L]
    T* grad_u = u + f * kTile * L;
    T* grad_num = grad_u + f * kTile * L;  // [n, tile, L]
    T* grad_den = grad_num + n * kTile * L;
    T* grad = grad_den + n * kTile * L;    // [n, L] of the state after the evaluation
    T* grad_at = grad + n * L;             // of the state it was made at
    T* grad_base = grad_at + n * L;        // of the state the substep started from
    T* grad_cm = grad_base + n * L;
    T* ys = grad_cm + n * L;               // activations of one target's synapses
    T* tile_sums = ys + n * L;             // of one tile: sums of sums keep their digits
    std::fill(grad, grad + n * L, T(0));
    std::fill(grad_cm, grad_cm + n * L, T(0));

    int64_t e = net.steps * net.evaluations() - 1;
    for (int64_t t = net.steps - 1; t >= 0; --t) {
      const int64_t tile = t % kTile, steps = std::min(kTile, net.steps - (t - tile));
      if (t == net.steps - 1 || tile == kTile - 1) {
        std::fill(grad_num, grad_num + 2 * n * kTile * L, T(0));
        std::fill(tile_sums, tile_sums + kW * net.recurrent.count, T(0));
      }
      add_grad_states(t, grad);
      Vec<T> dt[kBlocks], grad_dt[kBlocks] = {};
      load_elapsed(t, dt);
      for (int64_t before = e - net.evaluations(); e > before; --e) {
        const bool half = net.solver == kMidpoint && e % 2 == 0;
        const bool full = net.solver == kMidpoint && e % 2 == 1;
        const T *at = trace + n * L * e, *base = full ? at - n * L : at;
        if (half) std::swap(grad_at, grad_base);
        else std::fill(grad_at, grad_at + n * L, T(0));
        for (int64_t j = 0; j < n; ++j) {
          const int64_t begin = net.recurrent.first[j], end = net.recurrent.first[j + 1];
          Vec<T> a[kBlocks], b[kBlocks];
          read(num + j * span + t * L, a);
          read(den + j * span + t * L, b);
          for (int64_t s = begin; s < end; ++s) {
            const Packed<T> syn = recurrent[s];
            for (int k = 0; k < kBlocks; ++k) {
              const Vec<T> y = syn.activation(load(at + syn.source * L + k * kW));
              store(ys + (s - begin) * L + k * kW, y);
              a[k] += syn.w_erev * y;
              b[k] += syn.w * y;
            }
          }
          for (int k = 0; k < kBlocks; ++k) {
            const int64_t p = j * L + k * kW;
            const Vec<T> h = half ? dt[k] / 2 : dt[k], g = load(grad + p);
            const Substep<T> step(net.solver, load(base + p), a[k], b[k], net.cm[j], h);
            if (full) store(grad_base + p, g * step.by_v);
            else add_to(grad_at + p, g * step.by_v);
            add_to(grad_cm + p, g * step.by_cm);
            grad_dt[k] += g * step.by_h * T(half ? 0.5 : 1);
            a[k] = g * step.by_num;
            b[k] = g * step.by_den;
            const int64_t row = (j * kTile + tile) * L + k * kW;
            add_to(grad_num + row, a[k]);
            add_to(grad_den + row, b[k]);
          }
          for (int64_t s = begin; s < end; ++s) {
            const Packed<T> syn = recurrent[s];
            SynapseGradient<T> sums;
            for (int k = 0; k < kBlocks; ++k) {
              const int64_t p = syn.source * L + k * kW;
              const Vec<T> y = load(ys + (s - begin) * L + k * kW);
              add_to(grad_at + p, sums.add(syn, load(at + p), y, a[k], b[k]));
            }
            sums.add_to_total(tile_sums + s * kW);
          }
        }
        std::swap(grad, grad_at);
      }
      store_grad_elapsed(t, grad_dt);
      if (tile == 0) {
        load_inputs(t, steps, u);
        sense_backward(u, grad_u, steps * L, grad_num, grad_den, sensory_sums, neuron_sums);
        store_grad_inputs(t, steps, grad_u);
        for (int64_t i = 0; i < kW * net.recurrent.count; ++i) recurrent_sums[i] += tile_sums[i];
      }
    }
    for (int64_t j = 0; j < n; ++j)
      for (int k = 0; k < kBlocks; ++k) neuron_sums[j] += total<T>(load(grad_cm + j * L + k * kW));
    gather(grad, net.grad_state, 1);
  }

 private:
  // A chunk's empty lanes repeat its last episode, so that they hold numbers that can occur.
  int64_t episode(int l) const { return first + std::min<int64_t>(l, lanes - 1); }
  int64_t row(int64_t t, int l) const { return t * net.row_step + episode(l) * net.row_batch; }

  static void read(const T* p, Vec<T>* out) {
    for (int k = 0; k < kBlocks; ++k) out[k] = load(p + k * kW);
  }

  void scatter(const T* rows, T* out) const {  // [batch, n] to [n, L]
    for (int l = 0; l < L; ++l)
      for (int64_t j = 0; j < n; ++j) out[j * L + l] = rows[episode(l) * n + j];
  }

  void gather(const T* in, T* rows, int64_t stride) const {
    for (int l = 0; l < lanes; ++l)
      for (int64_t j = 0; j < n; ++j) rows[(first + l) * stride * n + j] = in[j * L + l];
  }

  void load_elapsed(int64_t t, Vec<T>* dt) const {
    T values[L];
    for (int l = 0; l < L; ++l)
      values[l] = net.elapsed[episode(l) * net.elapsed_batch + t * net.elapsed_step] / net.unfolds;
    read(values, dt);
  }

  void store_grad_elapsed(int64_t t, const Vec<T>* grad_dt) const {
    for (int l = 0; l < lanes; ++l)
      net.grad_elapsed[row(t, l)] = grad_dt[l / kW][l % kW] / net.unfolds;
  }

  void add_grad_states(int64_t t, T* grad) const {
    for (int l = 0; l < lanes; ++l) {
      const T* grads = net.grad_states + row(t, l) * n;
      for (int64_t j = 0; j < n; ++j) grad[j * L + l] += grads[j];
    }
  }

  void load_inputs(int64_t t, int64_t steps, T* u) const {
    for (int64_t k = 0; k < steps; ++k)
      for (int l = 0; l < L; ++l) {
        const T* values = net.inputs + row(t + k, l) * f;
        for (int64_t i = 0; i < f; ++i) u[(i * steps + k) * L + l] = values[i];
      }
  }

  void store_grad_inputs(int64_t t, int64_t steps, const T* grad_u) const {
    for (int l = 0; l < lanes; ++l)
      for (int64_t k = 0; k < steps; ++k) {
        T* values = net.grad_inputs + row(t + k, l) * f;
        for (int64_t i = 0; i < f; ++i) values[i] = grad_u[(i * steps + k) * L + l];
      }
  }

  // Numerator and denominator without the recurrent synapses, leak included.
  void sense(const T* u, int64_t rows, T* num, T* den, int64_t stride) const {
    for (int64_t j = 0; j < n; ++j, num += stride, den += stride) {
      std::fill(num, num + rows, net.leak_rev[j]);
      std::fill(den, den + rows, net.leak[j]);
      for (int64_t s = net.sensory.first[j]; s < net.sensory.first[j + 1]; ++s) {
        const Packed<T> syn = sensory[s];
        const T* v = u + syn.source * rows;
        for (int64_t r = 0; r < rows; r += kW) {
          const Vec<T> y = syn.activation(load(v + r));
          add_to(num + r, syn.w_erev * y);
          add_to(den + r, syn.w * y);
        }
      }
    }
  }

  void sense_backward(const T* u, T* grad_u, int64_t rows, const T* grad_num, const T* grad_den,
                      T* sensory_sums, T* neuron_sums) const {
    std::fill(grad_u, grad_u + f * rows, T(0));
    for (int64_t j = 0; j < n; ++j) {
      const T *gn = grad_num + j * kTile * L, *gd = grad_den + j * kTile * L;
      for (int64_t s = net.sensory.first[j]; s < net.sensory.first[j + 1]; ++s) {
        const Packed<T> syn = sensory[s];
        const T* v = u + syn.source * rows;
        T* gv = grad_u + syn.source * rows;
        SynapseGradient<T> sums;
        for (int64_t r = 0; r < rows; r += kW) {
          const Vec<T> x = load(v + r);
          add_to(gv + r, sums.add(syn, x, syn.activation(x), load(gn + r), load(gd + r)));
        }
        sums.add_to_total(sensory_sums + s * kW);
      }
      Vec<T> leak = splat<T>(0), leak_rev = splat<T>(0);
      for (int64_t r = 0; r < rows; r += kW) {
        leak += load(gd + r);
        leak_rev += load(gn + r);
      }
      neuron_sums[n + j] += total<T>(leak);
      neuron_sums[2 * n + j] += total<T>(leak_rev);
    }
  }
};
