// Work dealt out to threads that live for one call: plain C++, so the compiled library needs no OpenMP
// runtime where it is loaded. Starting one costs some 20 us; a call takes milliseconds.
#pragma once

#include <cstdint>
#include <thread>
#include <vector>

// work(index) for each index below count, dealt in turns to this many threads, the caller's included.
template <class Work>
void deal(int64_t count, int64_t threads, Work work) {
  const auto share = [=](int64_t first) {
    for (int64_t index = first; index < count; index += threads) work(index);
  };
  std::vector<std::thread> others;
  for (int64_t first = 1; first < threads && first < count; ++first) others.emplace_back(share, first);
  share(0);
  for (auto& other : others) other.join();
}
