// CfC over whole sequences, forward and backward: what is left once the inputs' share of the first
// layer is known for every step.
//
// Each step is one or two small products with weights that stay in cache, then the gate. Rows are
// (step, episode); a block of episodes runs through all steps on one thread. Weights come in panels:
// [columns / width, depth, width], columns padded with zeros to whole vectors.
#include <algorithm>

#include "simd.hpp"
#include "threads.hpp"

namespace {

template <class T>
struct Cfc {
  int64_t batch, steps, units, hidden, no_gate, threads;
  int64_t width, head_width;             // of rows of whole vectors: units, and four times units
  int64_t row_step, row_batch;           // row of (step, episode) = step * row_step + episode * row_batch
  double scale, slope;                   // the backbone's activation is scale * tanh(slope * z)
  const T* elapsed;                      // [steps, batch] s
  int64_t elapsed_step, elapsed_batch;   // strides, may be 0
  const T* state;                        // [batch, units]
  T* states;                             // [rows, units]
  T* backbone;                           // [rows, hidden] the inputs' share; becomes the activations
  T* heads;                              // [rows, head_width] likewise, where there is no backbone;
                                         // becomes tanh(ff1), tanh(ff2), time_a, gate
  const T *heads_bias;                   // [head_width], with a backbone
  const T *state_panels, *heads_panels;  // units to first layer; backbone to heads
  T* scratch;
  const T* grad_states;                  // [rows, units]
  const T *state_panels_back, *heads_panels_back;  // the same weights transposed
  T *grad_backbone, *grad_heads;         // [rows, hidden], [rows, head_width]: of the sums
  T *grad_elapsed, *grad_state;          // [rows], [batch, units]
};

// c[rows, columns] += a[rows, depth] * panels, M rows at a time.
template <class T, int M>
void product_rows(const T* a, int64_t lda, const T* panels, int64_t depth, int64_t columns, T* c,
                  int64_t ldc) {
  constexpr int kW = kWidth<T>;
  for (int64_t column = 0; column < columns; column += kW, panels += depth * kW) {
    Vec<T> sum[M];
    for (int m = 0; m < M; ++m) sum[m] = load(c + m * ldc + column);
    for (int64_t k = 0; k < depth; ++k) {
      const Vec<T> w = load(panels + k * kW);
      for (int m = 0; m < M; ++m) sum[m] += a[m * lda + k] * w;
    }
    for (int m = 0; m < M; ++m) store(c + m * ldc + column, sum[m]);
  }
}

template <class T>
void product(int64_t rows, const T* a, int64_t lda, const T* panels, int64_t depth, int64_t columns,
             T* c, int64_t ldc) {
  for (; rows >= 8; rows -= 8, a += 8 * lda, c += 8 * ldc)
    product_rows<T, 8>(a, lda, panels, depth, columns, c, ldc);
  for (; rows >= 4; rows -= 4, a += 4 * lda, c += 4 * ldc)
    product_rows<T, 4>(a, lda, panels, depth, columns, c, ldc);
  for (; rows > 0; --rows, a += lda, c += ldc)
    product_rows<T, 1>(a, lda, panels, depth, columns, c, ldc);
}

template <class T>
class Block {
  static constexpr int kW = kWidth<T>;
  const Cfc<T>& net;
  const int64_t first, count;  // episodes

 public:
  Block(const Cfc<T>& net, int64_t first, int64_t most)
      : net(net), first(first), count(std::min(most, net.batch - first)) {}

  void forward(T* h) const {  // h [count, width]
    std::fill(h, h + count * net.width, T(0));
    for (int64_t b = 0; b < count; ++b)
      std::copy_n(net.state + (first + b) * net.units, net.units, h + b * net.width);
    const int64_t hidden_stride = net.row_batch * net.hidden, heads_stride = net.row_batch * net.head_width;
    for (int64_t t = 0; t < net.steps; ++t) {
      T* y = net.heads + row(t, 0) * net.head_width;
      if (net.hidden) {
        T* z = net.backbone + row(t, 0) * net.hidden;
        product(count, h, net.width, net.state_panels, net.units, net.hidden, z, hidden_stride);
        for (int64_t b = 0; b < count; ++b) {
          activate(z + b * hidden_stride);
          std::copy_n(net.heads_bias, net.head_width, y + b * heads_stride);
        }
        product(count, z, hidden_stride, net.heads_panels, net.hidden, net.head_width, y, heads_stride);
      } else {
        product(count, h, net.width, net.state_panels, net.units, net.head_width, y, heads_stride);
      }
      for (int64_t b = 0; b < count; ++b) {
        gate(y + b * heads_stride, seconds(t, b), h + b * net.width);
        std::copy_n(h + b * net.width, net.units, net.states + row(t, b) * net.units);
      }
    }
  }

  void backward(T* grad) const {  // grad [count, width]
    std::fill(grad, grad + count * net.width, T(0));
    const int64_t hidden_stride = net.row_batch * net.hidden, heads_stride = net.row_batch * net.head_width;
    for (int64_t t = net.steps - 1; t >= 0; --t) {
      T* gy = net.grad_heads + row(t, 0) * net.head_width;
      for (int64_t b = 0; b < count; ++b) {
        T* g = grad + b * net.width;
        const T* arriving = net.grad_states + row(t, b) * net.units;
        for (int64_t j = 0; j < net.units; ++j) g[j] += arriving[j];
        net.grad_elapsed[row(t, b)] = gate_backward(net.heads + row(t, b) * net.head_width, seconds(t, b),
                                                    g, gy + b * heads_stride);
      }
      std::fill(grad, grad + count * net.width, T(0));
      if (net.hidden) {
        T* gz = net.grad_backbone + row(t, 0) * net.hidden;
        for (int64_t b = 0; b < count; ++b) std::fill_n(gz + b * hidden_stride, net.hidden, T(0));
        product(count, gy, heads_stride, net.heads_panels_back, net.head_width, net.hidden, gz, hidden_stride);
        for (int64_t b = 0; b < count; ++b)
          activate_backward(net.backbone + row(t, b) * net.hidden, gz + b * hidden_stride);
        product(count, gz, hidden_stride, net.state_panels_back, net.hidden, net.width, grad, net.width);
      } else {
        product(count, gy, heads_stride, net.state_panels_back, net.head_width, net.width, grad, net.width);
      }
    }
    for (int64_t b = 0; b < count; ++b)
      std::copy_n(grad + b * net.width, net.units, net.grad_state + (first + b) * net.units);
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
    const int64_t n = net.units;
    for (int64_t c = 0; c < n; c += kW) {
      const Vec<T> near = tanh(load(y + c, n - c)), far = tanh(load(y + n + c, n - c));
      const Vec<T> rate = load(y + 2 * n + c, n - c), offset = load(y + 3 * n + c, n - c);
      const Vec<T> g = sigmoid<T>(rate * dt + offset);
      store(y + c, near, n - c);
      store(y + n + c, far, n - c);
      store(y + 3 * n + c, g, n - c);
      store(h + c, net.no_gate ? near + g * far : near * (1 - g) + g * far);
    }
  }

  T gate_backward(const T* y, T dt, const T* grad, T* gy) const {
    const int64_t n = net.units;
    std::fill(gy + 4 * n, gy + net.head_width, T(0));
    Vec<T> by_dt = splat<T>(0);
    for (int64_t c = 0; c < n; c += kW) {
      const Vec<T> near = load(y + c, n - c), far = load(y + n + c, n - c);
      const Vec<T> rate = load(y + 2 * n + c, n - c), g = load(y + 3 * n + c, n - c);
      const Vec<T> out = load(grad + c);
      const Vec<T> inner = out * (net.no_gate ? far : far - near) * g * (1 - g);
      store(gy + c, (net.no_gate ? out : out * (1 - g)) * (1 - near * near), n - c);
      store(gy + n + c, out * g * (1 - far * far), n - c);
      store(gy + 2 * n + c, inner * dt, n - c);
      store(gy + 3 * n + c, inner, n - c);
      by_dt += inner * rate;
    }
    return total<T>(by_dt);
  }
};

template <class T, class Work>
void each_block(const Cfc<T>& net, Work work) {
  const int64_t most = net.batch <= 16 ? 8 : 16;
  deal((net.batch + most - 1) / most, net.threads, [&](int64_t block) {
    const int64_t first = block * most;
    work(Block<T>(net, first, most), net.scratch + first * net.width);
  });
}

}  // namespace

extern "C" {
void cfc_forward_float(const Cfc<float>* n) { each_block(*n, [](const auto& b, float* s) { b.forward(s); }); }
void cfc_forward_double(const Cfc<double>* n) { each_block(*n, [](const auto& b, double* s) { b.forward(s); }); }
void cfc_backward_float(const Cfc<float>* n) { each_block(*n, [](const auto& b, float* s) { b.backward(s); }); }
void cfc_backward_double(const Cfc<double>* n) { each_block(*n, [](const auto& b, double* s) { b.backward(s); }); }
}
