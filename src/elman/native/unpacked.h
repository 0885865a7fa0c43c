// SHORT CALLS: the same products with weights as they lie, for calls of so few steps that packing would cost more
// than it brings. The sums run in another order than the tile's, so the last digits may differ.
#pragma once

#include "pack.h"

namespace elman {
namespace ELMAN_VARIANT {

constexpr Index SHORT_CALL = 4;  // real steps of all pieces together: measured, packing pays from 5 to 8 on

// to[lane] = row `lane` of a matrix with `inner` columns times a vector, for `lanes` rows; zero in other lanes.
template <class real>
ELMAN_APART Vector<real> dot_products(const real* a, Index inner, const real* rows, Index lanes) {
    constexpr int L = Lanes<real>::count, AT_ONCE = 4;
    Vector<real> result{};
    const Index whole = inner / L * L;
    for (Index lane = 0; lane < lanes; lane += AT_ONCE) {
        // A row that does not exist is the last one again, and its result is dropped.
        const real* from[AT_ONCE];
        Vector<real> sums[AT_ONCE] = {};
        for (int r = 0; r < AT_ONCE; ++r) from[r] = rows + smaller(lane + r, lanes - 1) * inner;
        for (Index k = 0; k < whole; k += L) {
            const Vector<real> value = load(a + k);
#pragma GCC unroll 4
            for (int r = 0; r < AT_ONCE; ++r) sums[r] += value * load(from[r] + k);
        }
        if (whole < inner) {
            const Vector<real> value = load_first(a + whole, inner - whole);
#pragma GCC unroll 4
            for (int r = 0; r < AT_ONCE; ++r) sums[r] += value * load_first(from[r] + whole, inner - whole);
        }
        for (int r = 0; r < AT_ONCE && lane + r < lanes; ++r) result[lane + r] = sum_of<real>(sums[r]);
    }
    return result;
}

// One vector of `dot_products` for each gate of a block of units, added to sums.
template <class Cell>
inline void add_gates_of_block(
    const Panels<Cell>& panels, Index block, int first_slot, const typename Cell::real* a, Index inner,
    const typename Cell::real* weight, Vector<typename Cell::real>* sums) {
    constexpr int L = Panels<Cell>::L;
    const Index unit = block * L;
    for (int g = 0; g < Cell::gates; ++g) {
        const Index row = Cell::torch_gate(first_slot + g) * panels.units + unit;
        sums[g] += dot_products(a, inner, weight + row * inner, smaller(L, panels.units - unit));
    }
}

// sums[v] += gradients of gates (a row of `saved`, from `first_slot` on) times vectors of columns of a weight matrix.
template <class Cell>
ELMAN_APART void add_columns(
    const Panels<Cell>& units, int first_slot, const typename Cell::real* slots, const typename Cell::real* weight,
    Index columns, Index first, Index vectors, Vector<typename Cell::real>* sums) {
    using real = typename Cell::real;
    constexpr int L = Panels<Cell>::L;
    for (int g = 0; g < Cell::gates; ++g)
        for (Index block = 0; block < units.blocks; ++block) {
            const real* a = slots + (block * Cell::slots + first_slot + g) * L;
            const real* row = weight + (Cell::torch_gate(first_slot + g) * units.units + block * L) * columns + first;
            const Index lanes = smaller(L, units.units - block * L);
            for (Index lane = 0; lane < lanes; ++lane, row += columns) {
                const Vector<real> value = splat(a[lane]);
                for (Index v = 0; v < vectors; ++v)
                    sums[v] += value * load_up_to(row + v * L, columns - first - v * L);
            }
        }
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
