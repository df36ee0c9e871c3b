// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
// CfC over whole sequences, forward and backward: what is left once the inputs' share of the first
// layer is known for every step.
//
// Each step is one or two small products with weights that stay in cache, then the gate. Rows are
// (step, episode); a block of episodes runs through all steps on one thread. Weights come in panels:
// [columns / width, depth, width], columns padded with zeros to whole vectors.
#include <algorithm>
#include <vector>

#include "simd.hpp"
#include "threads.hpp"

namespace {

template <class T>
struct Cfc {
  int64_t batch, steps, units, hidden, no_gate, threads;
  int64_t heads_in_all;                  // four: ff1, ff2, time_a, time_b; three: time_a is in time_b
  int64_t width, head_width;             // of rows of whole vectors: units, and all heads
  int64_t row_step, row_batch;           // row of (step, episode) = step * row_step + episode * row_batch
  double scale, slope;                   // the backbone's activation is scale * tanh(slope * z)
  const T* elapsed;                      // [steps, batch] s
  int64_t elapsed_step, elapsed_batch;   // strides, may be 0
  const T* state;                        // [batch, units]
  T* states;                             // [rows, units]
  T* backbone;                           // [rows, hidden] the inputs' share; becomes the activations
  T* heads;                              // [rows, head_width] likewise, where there is no backbone;
                                         // becomes tanh(ff1), tanh(ff2), (time_a), gate
  const T *heads_bias;                   // [head_width], with a backbone
  const T *state_panels, *heads_panels;  // units to first layer; backbone to heads
  const T* grad_states;                  // [rows, units]
  const T *state_panels_back, *heads_panels_back;  // the same weights transposed
  T *grad_backbone, *grad_heads;         // [rows, hidden], [rows, head_width]: of the sums
  T *grad_elapsed, *grad_state;          // [rows], [batch, units]
};

// A block's rows of one step, zero at first. They lie a cache line further apart than they are long: rows
// whose length is a power of two would push each other out of the cache.
template <class T>
struct Table {
  std::vector<T> numbers;
  int64_t stride;

  Table(int64_t rows, int64_t columns)
      : numbers(rows * (columns + 64 / sizeof(T))), stride(columns + 64 / sizeof(T)) {}
  T* operator[](int64_t row) { return numbers.data() + row * stride; }
  const T* operator[](int64_t row) const { return numbers.data() + row * stride; }
  void clear() { std::fill(numbers.begin(), numbers.end(), T(0)); }
};

// c[columns of M rows] += a[depth] * panels.
template <class T, int M>
void product_rows(const Table<T>& a, const T* panels, int64_t depth, int64_t columns, Table<T>& c,
                  int64_t first) {
  constexpr int kW = kWidth<T>;
  const T* from = a[first];
  T* to = c[first];
  for (int64_t column = 0; column < columns; column += kW, panels += depth * kW) {
    Vec<T> sum[M];
    for (int m = 0; m < M; ++m) sum[m] = load(to + m * c.stride + column);
    for (int64_t k = 0; k < depth; ++k) {
      const Vec<T> w = load(panels + k * kW);
      for (int m = 0; m < M; ++m) sum[m] += from[m * a.stride + k] * w;
    }
    for (int m = 0; m < M; ++m) store(to + m * c.stride + column, sum[m]);
  }
}

template <class T>
void product(int64_t rows, const Table<T>& a, const T* panels, int64_t depth, int64_t columns,
             Table<T>& c) {
  int64_t row = 0;
  for (; row + 8 <= rows; row += 8) product_rows<T, 8>(a, panels, depth, columns, c, row);
  for (; row + 4 <= rows; row += 4) product_rows<T, 4>(a, panels, depth, columns, c, row);
  for (; row < rows; ++row) product_rows<T, 1>(a, panels, depth, columns, c, row);
}

template <class T>
class Block {
  static constexpr int kW = kWidth<T>;
  const Cfc<T>& net;
  const int64_t first, count;  // episodes
  Table<T> h, z, y;            // states, backbone, heads; or their gradients

 public:
  Block(const Cfc<T>& net, int64_t first, int64_t most)
      : net(net), first(first), count(std::min(most, net.batch - first)),
        h(count, net.width), z(count, net.hidden), y(count, net.head_width) {}

  void forward() {
    for (int64_t b = 0; b < count; ++b) std::copy_n(net.state + (first + b) * net.units, net.units, h[b]);
    for (int64_t t = 0; t < net.steps; ++t) {
      if (net.hidden) {
        for (int64_t b = 0; b < count; ++b) {
          std::copy_n(net.backbone + row(t, b) * net.hidden, net.hidden, z[b]);
          std::copy_n(net.heads_bias, net.head_width, y[b]);
        }
        product(count, h, net.state_panels, net.units, net.hidden, z);
        for (int64_t b = 0; b < count; ++b) {
          activate(z[b]);
          std::copy_n(z[b], net.hidden, net.backbone + row(t, b) * net.hidden);
        }
        product(count, z, net.heads_panels, net.hidden, net.head_width, y);
      } else {
        for (int64_t b = 0; b < count; ++b)
          std::copy_n(net.heads + row(t, b) * net.head_width, net.head_width, y[b]);
        product(count, h, net.state_panels, net.units, net.head_width, y);
      }
      for (int64_t b = 0; b < count; ++b) {
        gate(y[b], seconds(t, b), h[b]);
        std::copy_n(y[b], net.head_width, net.heads + row(t, b) * net.head_width);
        std::copy_n(h[b], net.units, net.states + row(t, b) * net.units);
      }
    }
  }

  void backward() {
    for (int64_t t = net.steps - 1; t >= 0; --t) {
      for (int64_t b = 0; b < count; ++b) {
        const T* arriving = net.grad_states + row(t, b) * net.units;
        for (int64_t j = 0; j < net.units; ++j) h[b][j] += arriving[j];
        const T* heads = net.heads + row(t, b) * net.head_width;
        net.grad_elapsed[row(t, b)] = gate_backward(heads, seconds(t, b), h[b], y[b]);
        std::copy_n(y[b], net.head_width, net.grad_heads + row(t, b) * net.head_width);
      }
      h.clear();
      if (net.hidden) {
        z.clear();
        product(count, y, net.heads_panels_back, net.head_width, net.hidden, z);
        for (int64_t b = 0; b < count; ++b) {
          activate_backward(net.backbone + row(t, b) * net.hidden, z[b]);
          std::copy_n(z[b], net.hidden, net.grad_backbone + row(t, b) * net.hidden);
        }
        product(count, z, net.state_panels_back, net.hidden, net.width, h);
      } else {
        product(count, y, net.state_panels_back, net.head_width, net.width, h);
      }
    }
    for (int64_t b = 0; b < count; ++b)
      std::copy_n(h[b], net.units, net.grad_state + (first + b) * net.units);
  }

 private:
  int64_t row(int64_t t, int64_t b) const { return t * net.row_step + (first + b) * net.row_batch; }
  T seconds(int64_t t, int64_t b) const {
    return net.elapsed[t * net.elapsed_step + (first + b) * net.elapsed_batch];
  }

  void activate(T* z) const {
    for (int64_t c = 0; c < net.hidden; c += kW)
      store(z + c, T(net.scale) * tanh(T(net.slope) * load(z + c)));
  }

  void activate_backward(const T* z, T* gz) const {
    for (int64_t c = 0; c < net.hidden; c += kW) {
      const Vec<T> y = load(z + c) / T(net.scale);
      store(gz + c, load(gz + c) * T(net.scale * net.slope) * (1 - y * y));
    }
  }

  void gate(T* y, T dt, T* h) const {
    const int64_t n = net.units, gates = (net.heads_in_all - 1) * n;
    for (int64_t c = 0; c < n; c += kW) {
      const Vec<T> near = tanh(load(y + c, n - c)), far = tanh(load(y + n + c, n - c));
      Vec<T> sum = load(y + gates + c, n - c);
      if (net.heads_in_all == 4) sum += dt * load(y + 2 * n + c, n - c);
      const Vec<T> g = sigmoid<T>(sum);
      store(y + c, near, n - c);
      store(y + n + c, far, n - c);
      store(y + gates + c, g, n - c);
      store(h + c, net.no_gate ? near + g * far : near * (1 - g) + g * far);
    }
  }

  T gate_backward(const T* y, T dt, const T* grad, T* gy) const {
    const int64_t n = net.units, gates = (net.heads_in_all - 1) * n;
    std::fill(gy + net.heads_in_all * n, gy + net.head_width, T(0));
    Vec<T> by_dt = splat<T>(0);
    for (int64_t c = 0; c < n; c += kW) {
      const Vec<T> near = load(y + c, n - c), far = load(y + n + c, n - c);
      const Vec<T> g = load(y + gates + c, n - c), out = load(grad + c);
      const Vec<T> inner = out * (net.no_gate ? far : far - near) * g * (1 - g);
      store(gy + c, (net.no_gate ? out : out * (1 - g)) * (1 - near * near), n - c);
      store(gy + n + c, out * g * (1 - far * far), n - c);
      store(gy + gates + c, inner, n - c);
      if (net.heads_in_all == 4) {
        store(gy + 2 * n + c, inner * dt, n - c);
        by_dt += inner * load(y + 2 * n + c, n - c);
      }
    }
    return total<T>(by_dt);
  }
};

template <class T, class Work>
void each_block(const Cfc<T>& net, Work work) {
  const int64_t most = net.batch <= 16 ? 8 : 16;
  deal((net.batch + most - 1) / most, net.threads,
       [&](int64_t block) { work(Block<T>(net, block * most, most)); });
}

}  // namespace

extern "C" {
void cfc_forward_float(const Cfc<float>* n) { each_block(*n, [](auto block) { block.forward(); }); }
void cfc_forward_double(const Cfc<double>* n) { each_block(*n, [](auto block) { block.forward(); }); }
void cfc_backward_float(const Cfc<float>* n) { each_block(*n, [](auto block) { block.backward(); }); }
void cfc_backward_double(const Cfc<double>* n) { each_block(*n, [](auto block) { block.backward(); }); }
}
