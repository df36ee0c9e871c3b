// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
// LTC over whole sequences: cuts the batch into chunks, runs them on threads, adds up the gradients.
//
// Gradients are summed per group of chunks and then over groups, in an order that does not depend on
// the number of threads: the same inputs give the same bits.
#include "ltc_chunk.hpp"
#include "threads.hpp"

namespace {

constexpr int64_t kMostGroups = 16;

template <class T>
void pack(const Synapses<T>& s, Packed<T>* out) {
  for (int64_t i = 0; i < s.count; ++i)
    out[i] = {s.mu[i], -kLog<T> * s.sigma[i], s.w[i], s.w[i] * s.erev[i],
              s.erev[i], s.w[i] * s.sigma[i], s.source[i]};
}

template <class T>
void finish(const Synapses<T>& s, const T* sums, int64_t stride, int64_t groups) {
  for (int64_t i = 0; i < s.count; ++i) {
    double sum[4] = {};
    for (int64_t g = 0; g < groups; ++g)
      for (int k = 0; k < kWidth<T>; ++k) sum[k % 4] += sums[g * stride + i * kWidth<T> + k];
    s.grad_w[i] = T(s.erev[i] * sum[0] + sum[1]);
    s.grad_erev[i] = T(s.w[i] * sum[0]);
    s.grad_mu[i] = T(-s.w[i] * s.sigma[i] * sum[2]);
    s.grad_sigma[i] = T(s.w[i] * sum[3]);
  }
}

// How the batch is cut up: chunks of L episodes, dealt to groups that work in parallel.
template <class T, int L>
struct Plan {
  const Ltc<T>& net;
  int64_t chunks, groups, packed, sums, kept, forward, backward;

  explicit Plan(const Ltc<T>& net) : net(net) {
    chunks = (net.batch + L - 1) / L;
    groups = std::min(chunks, kMostGroups);
    const int64_t synapses = net.recurrent.count + net.sensory.count;
    packed = synapses * int64_t(sizeof(Packed<T>) / sizeof(T));
    sums = synapses * kWidth<T> + 3 * net.units;
    kept = Chunk<T, L>::trace_size(net);
    forward = Chunk<T, L>::forward_size(net);
    backward = Chunk<T, L>::backward_size(net);
  }
  int64_t trace_elements() const { return chunks * kept; }
  int64_t forward_elements() const { return packed + groups * forward; }
  int64_t backward_elements() const { return packed + groups * (backward + sums); }

  template <class Work>
  void each_chunk(Work work) const {
    deal(groups, net.threads, [&](int64_t group) {
      for (int64_t chunk = chunks * group / groups; chunk < chunks * (group + 1) / groups; ++chunk)
        work(group, chunk);
    });
  }

  const Packed<T>* pack_synapses() const {
    auto* out = reinterpret_cast<Packed<T>*>(net.scratch);
    pack(net.recurrent, out);
    pack(net.sensory, out + net.recurrent.count);
    return out;
  }

  void run_forward() const {
    const Packed<T>* synapses = pack_synapses();
    each_chunk([&](int64_t group, int64_t chunk) {
      Chunk<T, L>(net, chunk, synapses, synapses + net.recurrent.count)
          .forward(net.trace + chunk * kept, net.scratch + packed + group * forward);
    });
  }

  void run_backward() const {
    const Packed<T>* synapses = pack_synapses();
    T* totals = net.scratch + packed;
    std::fill(totals, totals + groups * sums, T(0));
    each_chunk([&](int64_t group, int64_t chunk) {
      T* recurrent = totals + group * sums;
      T* sensory = recurrent + net.recurrent.count * kWidth<T>;
      Chunk<T, L>(net, chunk, synapses, synapses + net.recurrent.count)
          .backward(net.trace + chunk * kept, totals + groups * sums + group * backward, recurrent,
                    sensory, sensory + net.sensory.count * kWidth<T>);
    });
    finish(net.recurrent, totals, sums, groups);
    finish(net.sensory, totals + net.recurrent.count * kWidth<T>, sums, groups);
    const T* neurons = totals + (net.recurrent.count + net.sensory.count) * kWidth<T>;
    T* out[] = {net.grad_cm, net.grad_leak, net.grad_leak_rev};
    for (int64_t i = 0; i < 3 * net.units; ++i) {
      double sum = 0;
      for (int64_t g = 0; g < groups; ++g) sum += neurons[g * sums + i];
      out[i / net.units][i % net.units] = T(sum);
    }
  }
};

// Eight lanes leave work for a second thread in small batches; sixteen load each weight half as often.
template <class T, class Work>
void with_plan(const Ltc<T>& net, Work work) {
  if (net.batch <= 16) work(Plan<T, 8>(net));
  else work(Plan<T, 16>(net));
}

template <class T>
void sizes(const Ltc<T>& net, int64_t* out) {
  with_plan(net, [&](const auto& plan) {
    out[0] = plan.trace_elements();
    out[1] = plan.forward_elements();
    out[2] = plan.backward_elements();
  });
}

}  // namespace

extern "C" {
void ltc_sizes_float(const Ltc<float>* net, int64_t* out) { sizes(*net, out); }
void ltc_sizes_double(const Ltc<double>* net, int64_t* out) { sizes(*net, out); }
void ltc_forward_float(const Ltc<float>* net) { with_plan(*net, [](const auto& p) { p.run_forward(); }); }
void ltc_forward_double(const Ltc<double>* net) { with_plan(*net, [](const auto& p) { p.run_forward(); }); }
void ltc_backward_float(const Ltc<float>* net) { with_plan(*net, [](const auto& p) { p.run_backward(); }); }
void ltc_backward_double(const Ltc<double>* net) { with_plan(*net, [](const auto& p) { p.run_backward(); }); }
}
