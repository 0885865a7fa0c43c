// NUMBERS: how the forward products multiply: exactly, or with both factors rounded to bfloat16.
//
// bfloat16 is a float cut to 8 bits of precision: a relative error of at most 2^-9 for each factor. Processors that
// have AVX512_BF16 multiply a pair of them in the time of one float, and add the products in float. Two neighbours
// in k are one 32-bit `Pair`; an odd last one is paired with zero.
#pragma once

#include "pack.h"

namespace elman {
namespace ELMAN_VARIANT {

template <class Real>
struct Exact {
    using real = Real;
    using factor = Real;  // what packed weights and multiplied rows consist of
    static constexpr bool rounds = false;
    static constexpr Index length(Index columns) { return columns; }
};

#if defined(__AVX512BF16__)
struct Pair {
    std::uint32_t both;
};

struct Rounded {
    using real = float;
    using factor = Pair;
    static constexpr bool rounds = true;
    static constexpr Index length(Index columns) { return (columns + 1) / 2; }
};

template <class real, int R, int V>
ELMAN_INLINE void multiply(Sums<float, R, V>& sums, const Pair* const (&rows)[R], Inner inner, const Pair* panel) {
    constexpr int L = Lanes<float>::count;
    for (Index k = 0; k < inner.count; ++k, panel += V * L) {
        __m512bh weights[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) weights[v] = (__m512bh)_mm512_loadu_si512(panel + v * L);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const __m512bh value = (__m512bh)_mm512_set1_epi32(static_cast<int>(rows[r][k].both));
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                sums.at[r][v] = (Vector<float>)_mm512_dpbf16_ps((__m512)sums.at[r][v], value, weights[v]);
        }
    }
}

// Sixteen numbers, rounded to the nearest, as eight pairs.
ELMAN_INLINE void store_rounded(Pair* to, Vector<float> value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh((__m512)value));
}

inline void round_row(const float* from, Index count, Pair* to) {
    constexpr int L = Lanes<float>::count;
    for (Index k = 0; k < count; k += L) store_rounded(to + k / 2, load_up_to(from + k, count - k));
}

// A forward panel [inner][V vectors] of floats as [inner / 2][V vectors] of pairs.
inline void round_panel(const float* from, Index inner, Index vectors, Pair* to) {
    constexpr int L = Lanes<float>::count;
    const Index wide = vectors * L;
    for (Index k = 0; k < inner; k += 2)
        for (Index v = 0; v < wide; v += L) {
            const Vector<float> first = load(from + k * wide + v);
            const Vector<float> second = k + 1 < inner ? load(from + (k + 1) * wide + v) : Vector<float>{};
            const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)first));
            const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)second));
            _mm512_storeu_si512(to + k / 2 * wide + v, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
}
#endif

}  // namespace ELMAN_VARIANT
}  // namespace elman
