// THE TILE: some rows times one panel of weights, with all sums in registers.
//
//     sums[r][v] += rows[r][k] * panel[k][v]        r < R rows, v < V vectors, all k
//
// A panel is a block of weights laid out in the order in which the tile reads them: for each k, V vectors side by
// side. One load of V vectors and R broadcasts feed R * V multiply-adds; R * V is chosen so that the sums
// fill the registers (24 of 32 with AVX-512, 12 of 16 otherwise) and no load waits. The sum over k is one chain
// for each number, whatever R and V are: a row's result is the same bits in any company.
#pragma once

#include "vector.h"

namespace elman {
namespace ELMAN_VARIANT {

#if VECTOR_BYTES == 64
constexpr int SUMS = 24;
#else
constexpr int SUMS = 12;
#endif
constexpr int MOST_VECTORS = 4;
constexpr int most_rows(int vectors) { return SUMS / vectors < 8 ? SUMS / vectors : 8; }

template <class real, int R, int V>
struct Sums {
    Vector<real> at[R][V];
};

// Which numbers of a row are multiplied: `count` of them, `times` times, `stride` apart.
struct Inner {
    Index times, count, stride;
};
ELMAN_INLINE Inner all_of(Index count) { return {1, count, 0}; }

template <class real, int R, int V>
ELMAN_INLINE void multiply(Sums<real, R, V>& sums, const real* const (&rows)[R], Inner inner, const real* panel) {
    constexpr int L = Lanes<real>::count;
    for (Index part = 0; part < inner.times; ++part) {
        const real* from[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) from[r] = rows[r] + part * inner.stride;
        for (Index k = 0; k < inner.count; ++k, panel += V * L) {
            Vector<real> weights[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) weights[v] = load(panel + v * L);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                const Vector<real> value = splat(from[r][k]);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) sums.at[r][v] += value * weights[v];
            }
        }
    }
}

// Integers that are known when the program is compiled, as arguments.
template <int N>
struct Number {
    static constexpr int value = N;
};

// Call `body(Number<R>, first)` until `rows` rows are done: as many at a time as fit the registers, then fewer.
template <int V, class Body>
ELMAN_INLINE void in_tiles(Index rows, const Body& body) {
    constexpr int most = most_rows(V);
    Index first = 0;
    for (; first + most <= rows; first += most) body(Number<most>{}, first);
    if (most > 4 && first + 4 <= rows) {
        body(Number<(most > 4 ? 4 : most)>{}, first);
        first += 4;
    }
    if (most > 2 && first + 2 <= rows) {
        body(Number<(most > 2 ? 2 : most)>{}, first);
        first += 2;
    }
    if (first < rows) body(Number<1>{}, first);
}

// Write the sums of a tile to memory, where what follows finds them without being written out for every R.
template <class real, int R, int V>
ELMAN_INLINE void spill(const Sums<real, R, V>& sums, Vector<real>* to) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) to[r * V + v] = sums.at[r][v];
}

// Call `body(Number<V>)` for V = `vectors`.
template <class Body>
ELMAN_INLINE void with_vectors(Index vectors, const Body& body) {
    switch (vectors) {
        case 1: body(Number<1>{}); break;
        case 2: body(Number<2>{}); break;
        case 3: body(Number<3>{}); break;
        default: body(Number<4>{}); break;
    }
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
