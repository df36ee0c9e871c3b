// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
// Vectors of 32 bytes (eight floats or four doubles) and the functions the cells need.
//
// Written with the vector extensions of GCC and Clang, so the same source serves x86-64 and ARM. In
// single precision exp and tanh are polynomials good to about 1e-7; in double precision they are libm's.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(32), aligned(4), may_alias));
  typedef int32_t bits __attribute__((vector_size(32)));
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(32), aligned(8), may_alias));
  typedef int64_t bits __attribute__((vector_size(32)));
};

template <class T>
using Vec = typename VecOf<T>::type;
using FloatVec = Vec<float>;
using DoubleVec = Vec<double>;

template <class T>
constexpr int kWidth = 32 / sizeof(T);

template <class T>
inline Vec<T> splat(T x) { return x - Vec<T>{}; }
template <class T>
inline Vec<T> load(const T* p) { return *reinterpret_cast<const Vec<T>*>(p); }
template <class T>
inline void store(T* p, Vec<T> x) { *reinterpret_cast<Vec<T>*>(p) = x; }
template <class T>
inline void add_to(T* p, Vec<T> x) { store(p, load(p) + x); }

// The first `count` numbers only, where fewer than a vector are left.
template <class T>
inline Vec<T> load(const T* p, int64_t count) {
  if (count >= kWidth<T>) return load(p);
  Vec<T> x{};
  std::memcpy(&x, p, count * sizeof(T));
  return x;
}
template <class T>
inline void store(T* p, Vec<T> x, int64_t count) {
  if (count >= kWidth<T>) store(p, x);
  else std::memcpy(p, &x, count * sizeof(T));
}

template <class T>
inline T total(Vec<T> x) {
  T sum = 0;
  for (int i = 0; i < kWidth<T>; ++i) sum += x[i];
  return sum;
}

// The exponential in the base that is cheapest: 2 for float, e for double. kLog converts to it:
// power(kLog * x) == exp(x). Multiplied into the weights once, it costs nothing per synapse.
template <class T>
constexpr T kLog = 1;
template <>
constexpr float kLog<float> = 1.44269504088896341f;

inline FloatVec power(FloatVec z) {
  const FloatVec low = splat(-126.0f), high = splat(126.0f);
  z = z < low ? low : z;  // in this order a NaN stays a NaN
  z = z > high ? high : z;
  // 1.5 * 2^23 leaves the nearest integer in the low bits; 127 more, and it is the exponent of 2^integer.
  const FloatVec shift = splat(12582912.0f + 127.0f);
  const FloatVec shifted = z + shift;
  const FloatVec f = z - (shifted - shift);
  FloatVec p = 0.0001535336178f * f + 0.001339887445f;
  p = p * f + 0.009618437358f;
  p = p * f + 0.05550332471f;
  p = p * f + 0.2402264791f;
  p = p * f + 0.6931472029f;
  p = p * f + 1.0f;
  return p * (FloatVec)((VecOf<float>::bits)shifted << 23);  // a product, so p's NaN stays one
}

inline DoubleVec power(DoubleVec z) {
  for (int i = 0; i < 4; ++i) z[i] = std::exp(z[i]);
  return z;
}

template <class T>
inline Vec<T> exp(Vec<T> x) { return power(kLog<T> * x); }

template <class T>
inline Vec<T> sigmoid(Vec<T> x) { return 1 / (1 + power(-kLog<T> * x)); }

inline FloatVec tanh(FloatVec x) {
  const FloatVec size = x < 0.0f ? -x : x;
  const FloatVec e = power(splat(-2.0f * kLog<float>) * size);
  const FloatVec far = (1.0f - e) / (1.0f + e);
  const FloatVec z = x * x;
  FloatVec p = -0.005704987424f * z + 0.02063908765f;
  p = p * z - 0.05373971522f;
  p = p * z + 0.133314422f;
  p = p * z - 0.3333328194f;
  const FloatVec near = x + x * z * p;  // far loses digits close to zero
  return size < 0.625f ? near : (x < 0.0f ? -far : far);
}

inline DoubleVec tanh(DoubleVec x) {
  for (int i = 0; i < 4; ++i) x[i] = std::tanh(x[i]);
  return x;
}

// The four sums of a, b, c, d over lanes, still to be added up by fours: [a b c d | a b c d] for
// float. Keeps a synapse's gradients in one vector instead of four.
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, VecOf<float>::bits{__VA_ARGS__})
#endif
inline FloatVec fold(FloatVec a, FloatVec b, FloatVec c, FloatVec d) {
  const FloatVec ab = SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13) + SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  const FloatVec cd = SHUFFLE(c, d, 0, 8, 1, 9, 4, 12, 5, 13) + SHUFFLE(c, d, 2, 10, 3, 11, 6, 14, 7, 15);
  return SHUFFLE(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) + SHUFFLE(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
}
#undef SHUFFLE

inline DoubleVec fold(DoubleVec a, DoubleVec b, DoubleVec c, DoubleVec d) {
  return DoubleVec{total<double>(a), total<double>(b), total<double>(c), total<double>(d)};
}
