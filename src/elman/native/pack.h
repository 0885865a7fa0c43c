// PACKING: weights laid out as the tile reads them. Done once a call, or once for a stepper (module.cpp).
//
// Forward, a panel holds the gates of one block of units (four blocks for the RNN, which has one gate), and lanes
// are units: weights are transposed. Backward, a panel holds four vectors of columns: they are copied.
#pragma once

#include "call.h"
#include "cells.h"
#include "tile.h"

namespace elman {
namespace ELMAN_VARIANT {

ELMAN_INLINE Index smaller(Index a, Index b) { return a < b ? a : b; }
ELMAN_INLINE Index larger(Index a, Index b) { return a > b ? a : b; }
ELMAN_INLINE Index divided_up(Index a, Index b) { return (a + b - 1) / b; }

// How H units are cut into blocks and panels. The last block may have units that do not exist: their weights
// are zero and their results are never stored outside.
template <class Cell>
struct Panels {
    using real = typename Cell::real;
    static constexpr int L = Lanes<real>::count;
    static constexpr int blocks_each = Cell::gates == 1 ? MOST_VECTORS : 1;
    Index units, blocks, count;

    explicit Panels(Index hidden_size)
        : units(hidden_size), blocks(divided_up(hidden_size, L)), count(divided_up(blocks, blocks_each)) {}
    Index first_block(Index panel) const { return panel * blocks_each; }
    Index blocks_of(Index panel) const { return smaller(blocks_each, blocks - first_block(panel)); }
    Index vectors_of(Index panel) const { return blocks_of(panel) * Cell::gates; }
    Index row_numbers() const { return blocks * Cell::slots * L; }  // of `saved`, for one step of one piece
    Index padded_units() const { return blocks * L; }
    // Call `body(Number<V>)` for V = vectors_of(panel).
    template <class Body>
    ELMAN_INLINE void with_vectors_of(Index panel, const Body& body) const {
        if constexpr (Cell::gates > 1)
            body(Number<Cell::gates>{});
        else
            with_vectors(vectors_of(panel), body);
    }
    // Numbers before a panel in a packed matrix with `inner` columns.
    Index before(Index panel, Index inner) const { return first_block(panel) * Cell::gates * L * inner; }
};

// Lanes of two vectors, those of the second counted from L on; `from` is known when the program is compiled.
template <class real>
ELMAN_INLINE Vector<real> shuffle(Vector<real> a, Vector<real> b, typename Lanes<real>::integers from) {
#if defined(__clang__)
    constexpr int L = Lanes<real>::count;
    Vector<real> result{};
#pragma unroll
    for (int lane = 0; lane < L; ++lane) result[lane] = from[lane] < L ? a[from[lane]] : b[from[lane] - L];
    return result;
#else
    return __builtin_shuffle(a, b, from);
#endif
}

// One stage of turning a square: swap the blocks of `half` x `half` numbers off the diagonal.
template <class real, int half>
ELMAN_INLINE void swap_blocks(Vector<real>* rows) {
    constexpr int L = Lanes<real>::count;
    typename Lanes<real>::integers low{}, high{};
    for (int lane = 0; lane < L; ++lane) {
        low[lane] = lane & half ? L + lane - half : lane;
        high[lane] = lane & half ? L + lane : lane + half;
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i)
        if (!(i & half)) {
            const Vector<real> a = rows[i], b = rows[(i + half) % L];
            rows[i] = shuffle<real>(a, b, low);
            rows[(i + half) % L] = shuffle<real>(a, b, high);
        }
}

// One square of L x L numbers, turned: to[j * to_stride + i] = from[i * from_stride + j]. By halves: swap the blocks
// off the diagonal, then do the same inside the blocks.
template <class real>
ELMAN_INLINE void transpose_square(const real* from, Index from_stride, real* to, Index to_stride) {
    constexpr int L = Lanes<real>::count;
    Vector<real> rows[L];
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) rows[i] = load(from + i * from_stride);
    if (L > 8) swap_blocks<real, 8>(rows);
    if (L > 4) swap_blocks<real, 4>(rows);
    if (L > 2) swap_blocks<real, 2>(rows);
    swap_blocks<real, 1>(rows);
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) store<real>(to + i * to_stride, rows[i]);
}

// One vector's place in a forward panel: to[k * stride + lane] = rows[lane][k], for `lanes` rows of `inner` columns.
template <class real>
inline void pack_turned(const real* rows, Index lanes, Index inner, real* to, Index stride) {
    constexpr int L = Lanes<real>::count;
    Index k = 0;
    if (lanes == L)
        for (; k + L <= inner; k += L) transpose_square<real>(rows + k, inner, to + k * stride, stride);
    for (; k < inner; ++k)
        for (Index lane = 0; lane < L; ++lane)
            to[k * stride + lane] = lane < lanes ? rows[lane * inner + k] : real(0);
}

// A forward panel of a weight matrix [G, inner], whose gates are the slots from `first_slot` on.
template <class Cell>
inline void pack_forward(
    const Panels<Cell>& panels, Index panel, int first_slot, const typename Cell::real* weight, Index inner,
    typename Cell::real* to) {
    constexpr int L = Panels<Cell>::L;
    const Index stride = panels.vectors_of(panel) * L;
    for (Index b = 0; b < panels.blocks_of(panel); ++b)
        for (int g = 0; g < Cell::gates; ++g) {
            const Index unit = (panels.first_block(panel) + b) * L;
            const Index row = Cell::torch_gate(first_slot + g) * panels.units + unit;
            pack_turned(
                weight + row * inner, smaller(L, panels.units - unit), inner, to + (b * Cell::gates + g) * L, stride);
        }
}

// The same of a plain matrix [rows, inner]: panels of four vectors of rows.
template <class real>
inline void pack_plain(Index panel, const real* weight, Index rows, Index inner, real* packed) {
    constexpr int L = Lanes<real>::count;
    const Index first = panel * MOST_VECTORS * L, vectors = smaller(MOST_VECTORS, divided_up(rows - first, L));
    real* to = packed + first * inner;
    for (Index v = 0; v < vectors; ++v)
        pack_turned(
            weight + (first + v * L) * inner, smaller(L, rows - first - v * L), inner, to + v * L, vectors * L);
}

// How a number of columns is cut into panels of four vectors.
template <class real>
struct Columns {
    static constexpr int L = Lanes<real>::count;
    Index columns, vectors, count;
    explicit Columns(Index columns)
        : columns(columns), vectors(divided_up(columns, L)), count(divided_up(vectors, MOST_VECTORS)) {}
    Index vectors_of(Index panel) const { return smaller(MOST_VECTORS, vectors - panel * MOST_VECTORS); }
    Index first_column(Index panel) const { return panel * MOST_VECTORS * L; }
    Index before(Index panel, Index inner) const { return first_column(panel) * inner; }
    Index padded() const { return vectors * L; }
};

// Row k of a backward panel: vectors of columns [first, ...) of one row of a weight matrix; null: zeros.
template <class real>
ELMAN_INLINE void pack_row(const real* row, Index first, Index columns, Index vectors, real* to) {
    constexpr int L = Lanes<real>::count;
    for (Index v = 0; v < vectors; ++v)
        store<real>(
            to + v * L, row ? load_up_to(row + first + v * L, columns - first - v * L) : Vector<real>{});
}

// The backward panel of a weight matrix [G, columns]: its rows in the order of the slots, so that a stretch of
// a row of `saved` times the panel is the gradient of the columns.
template <class Cell>
inline void pack_backward(
    const Panels<Cell>& units, int first_slot, Index panel, const typename Cell::real* weight, Index columns,
    typename Cell::real* packed) {
    using real = typename Cell::real;
    constexpr int L = Panels<Cell>::L;
    const Columns<real> cut(columns);
    const Index vectors = cut.vectors_of(panel), first = cut.first_column(panel);
    real* to = packed + cut.before(panel, units.blocks * Cell::gates * L);
    for (Index block = 0; block < units.blocks; ++block)
        for (int g = 0; g < Cell::gates; ++g)
            for (Index lane = 0; lane < L; ++lane, to += vectors * L) {
                const Index unit = block * L + lane, row = Cell::torch_gate(first_slot + g) * units.units + unit;
                pack_row<real>(unit < units.units ? weight + row * columns : nullptr, first, columns, vectors, to);
            }
}

// The backward panel of a plain matrix [rows, columns].
template <class real>
inline void pack_plain_backward(Index panel, const real* weight, Index rows, Index columns, real* packed) {
    const Columns<real> cut(columns);
    const Index vectors = cut.vectors_of(panel), first = cut.first_column(panel);
    real* to = packed + cut.before(panel, rows);
    for (Index k = 0; k < rows; ++k, to += vectors * Lanes<real>::count)
        pack_row<real>(weight + k * columns, first, columns, vectors, to);
}

// Which of a unit block's slots one product reads, in a row of `saved`.
template <class Cell>
ELMAN_INLINE Inner slots_of(const Panels<Cell>& units) {
    constexpr int L = Panels<Cell>::L;
    if (Cell::gates == Cell::slots) return all_of(units.row_numbers());
    return {units.blocks, Cell::gates * L, Cell::slots * L};
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
