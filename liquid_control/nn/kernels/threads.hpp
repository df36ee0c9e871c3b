// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
// Work dealt out to the threads of torch, which are GNU OpenMP's.
//
// They wait by spinning, so threads of our own would have to share the cores with them. The symbol is weak:
// the library is linked against no OpenMP runtime; where a process has none, one thread does the work.
#pragma once

#include <atomic>
#include <cstdint>

extern "C" void GOMP_parallel(void (*work)(void*), void* data, unsigned threads, unsigned flags)
    __attribute__((weak));

// work(index) for each index below count, which is dealt in as many shares as threads are wanted. A thread
// that comes takes the next share until none is left, however many come.
template <class Work>
void deal(int64_t count, int64_t threads, Work work) {
  std::atomic<int64_t> taken{0};
  auto take = [&] {
    for (int64_t share = taken++; share < threads; share = taken++)
      for (int64_t index = share; index < count; index += threads) work(index);
  };
  if (GOMP_parallel && threads > 1 && count > 1)
    GOMP_parallel([](void* data) { (*static_cast<decltype(take)*>(data))(); }, &take, threads, 0);
  else
    take();
}
