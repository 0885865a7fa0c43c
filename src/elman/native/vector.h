// VECTORS: numbers side by side in one register, and the functions that gates need.
//
// Compiled once for every instruction set (ELMAN_VARIANT names it, VECTOR_BYTES is its register's size), from
// this one source, with the vector types of GCC and Clang. Everything lies in a namespace of the variant, and
// no template of the standard library is used here, so that the linker cannot put code of one variant into
// another.
#pragma once

#include <cstdint>
#include <cstring>

#if !defined(ELMAN_VARIANT) || !defined(VECTOR_BYTES)
#error "ELMAN_VARIANT and VECTOR_BYTES must be given: see CMakeLists.txt"
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define ELMAN_INLINE inline __attribute__((always_inline))
#define ELMAN_APART __attribute__((noinline))

namespace elman {
using Index = std::int64_t;

namespace ELMAN_VARIANT {

template <class real>
struct Lanes;

template <>
struct Lanes<float> {
    typedef float vector __attribute__((vector_size(VECTOR_BYTES)));
    typedef std::int32_t integers __attribute__((vector_size(VECTOR_BYTES)));
    typedef float unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
    static constexpr int count = VECTOR_BYTES / 4;
};

template <>
struct Lanes<double> {
    typedef double vector __attribute__((vector_size(VECTOR_BYTES)));
    typedef std::int64_t integers __attribute__((vector_size(VECTOR_BYTES)));
    typedef double unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
    static constexpr int count = VECTOR_BYTES / 8;
};

template <class real>
using Vector = typename Lanes<real>::vector;

template <class real>
ELMAN_INLINE Vector<real> splat(real value) {
    return value - Vector<real>{};  // value in every lane; minus and not plus zero, which keeps a -0
}

template <class real>
ELMAN_INLINE Vector<real> load(const real* from) {
    return *reinterpret_cast<const typename Lanes<real>::unaligned*>(from);
}

template <class real>
ELMAN_INLINE void store(real* to, Vector<real> value) {
    *reinterpret_cast<typename Lanes<real>::unaligned*>(to) = value;
}

#if defined(__AVX512F__)
ELMAN_INLINE Vector<float> load_first(const float* from, Index count) {
    return (Vector<float>)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}
ELMAN_INLINE Vector<double> load_first(const double* from, Index count) {
    return (Vector<double>)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), from);
}
ELMAN_INLINE void store_first(float* to, Vector<float> value, Index count) {
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)value);
}
ELMAN_INLINE void store_first(double* to, Vector<double> value, Index count) {
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << count) - 1), (__m512d)value);
}
#else
template <class real>
ELMAN_INLINE Vector<real> load_first(const real* from, Index count) {
    Vector<real> value{};
    for (Index lane = 0; lane < count; ++lane) value[lane] = from[lane];
    return value;
}
template <class real>
ELMAN_INLINE void store_first(real* to, Vector<real> value, Index count) {
    for (Index lane = 0; lane < count; ++lane) to[lane] = value[lane];
}
#endif

// The first `count` numbers, zero in the other lanes; `count` may be more than there are lanes.
template <class real>
ELMAN_INLINE Vector<real> load_up_to(const real* from, Index count) {
    return count >= Lanes<real>::count ? load(from) : load_first(from, count);
}

template <class real>
ELMAN_INLINE void store_up_to(real* to, Vector<real> value, Index count) {
    if (count >= Lanes<real>::count)
        store(to, value);
    else
        store_first(to, value, count);
}

template <class real>
ELMAN_INLINE real sum_of(Vector<real> value) {
    real total = 0;
    for (int lane = 0; lane < Lanes<real>::count; ++lane) total += value[lane];
    return total;
}

// Between two bounds; NaN stays NaN, because it compares as false.
template <class real>
ELMAN_INLINE Vector<real> clamp(Vector<real> x, real low, real high) {
    const Vector<real> bottom = splat(low), top = splat(high);
    x = x < bottom ? bottom : x;
    return x > top ? top : x;
}

// e^x - 1 = power * remainder + (power - 1), where power is a power of two and |remainder| < 0.42.
template <class real>
struct Exponential {
    Vector<real> power, remainder;
};

// Cody and Waite's reduction x = n ln 2 + r, and a Taylor polynomial of e^r - 1 for |r| <= 0.35: its first term
// left out is below 2e-8 of the sum in float, 2e-17 in double. |x| must be at most 87 and 708.
ELMAN_INLINE Exponential<float> exponential(Vector<float> x) {
    typedef Lanes<float>::integers integers;
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, kept in the lowest bits
    const Vector<float> shifted = x * 1.44269504f + magic;
    const Vector<float> n = shifted - magic;
    Vector<float> r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    Vector<float> p = r * 1.98412698e-4f + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r;
    const integers bits = ((integers)shifted + 127) << 23;
    return {(Vector<float>)bits, p};
}

ELMAN_INLINE Exponential<double> exponential(Vector<double> x) {
    typedef Lanes<double>::integers integers;
    const double magic = 6755399441055744.0;  // 1.5 * 2^52
    const Vector<double> shifted = x * 1.4426950408889634 + magic;
    const Vector<double> n = shifted - magic;
    Vector<double> r = x - n * 0.693147180369123816490;
    r = r - n * 1.90821492927058770002e-10;
    Vector<double> p = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r * r + r;
    const integers bits = ((integers)shifted + 1023) << 52;
    return {(Vector<double>)bits, p};
}

// 1 / (1 + e^-x). Beyond the bound the true value differs from that at the bound by less than 2e-38.
template <class real>
ELMAN_INLINE Vector<real> sigmoid(Vector<real> x) {
    const real bound = sizeof(real) == 4 ? real(87) : real(708);
    const Exponential<real> e = exponential(clamp(-x, -bound, bound));
    return real(1) / (real(1) + (e.power * e.remainder + e.power));
}

// (e^2x - 1) / (e^2x + 1), exact to the last digits near zero too; beyond |x| = 22 it is 1 in both precisions.
template <class real>
ELMAN_INLINE Vector<real> tanh_of(Vector<real> x) {
    const Exponential<real> e = exponential(clamp(x + x, real(-44), real(44)));
    const Vector<real> minus_one = e.power * e.remainder + (e.power - real(1));
    return minus_one / (minus_one + real(2));
}

template <class real>
ELMAN_INLINE Vector<real> relu_of(Vector<real> x) {
    return x < Vector<real>{} ? Vector<real>{} : x;  // a NaN stays
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
