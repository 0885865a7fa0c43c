// MEMORY: what a layer keeps from forward to backward, and what forward needs while it runs.
#pragma once

#include "share.h"

namespace elman {
namespace ELMAN_VARIANT {

constexpr Index CHUNK_ROWS = 96;  // rows of `saved` between the two products: they should stay in the L2 cache

template <class Cell, class Numbers>
struct ForwardScratch {
    using real = typename Cell::real;
    using factor = typename Numbers::factor;
    // For each direction: weights and biases packed [panel][k][vector], as long as the call.
    factor *packed_ih[2], *packed_hh[2];
    real *packed_hr[2], *bias[2], *hidden_bias[2];
    // Without training, in place of `saved`: rows of one chunk, and the current cells and unprojected outputs.
    real *rows[2], *cells[2], *unprojected[2];
    // For rounded factors: a panel before it is rounded, for each thread; the inputs of one chunk; the hidden states
    // before and after a step.
    real* panel[2];
    factor *inputs[2], *states[2];
    Index panel_numbers, state_length;

    ForwardScratch(const Call<real>& call, Arena& arena) {
        const Panels<Cell> panels(call.hidden_size);
        const Index wide = panels.padded_units() * Cell::gates, pieces = call.plan.pieces;
        for (int d = 0; d < call.directions; ++d) {
            packed_ih[d] = arena.take<factor>(call.reads_tokens() ? 0 : wide * Numbers::length(call.input_size));
            packed_hh[d] = arena.take<factor>(wide * Numbers::length(call.output_size));
            bias[d] = arena.take<real>(wide);
            hidden_bias[d] = arena.take<real>(panels.padded_units());
            if (call.projected())
                packed_hr[d] = arena.take<real>(Columns<real>(call.output_size).padded() * call.hidden_size);
            if (!call.training) {
                rows[d] = arena.take<real>((CHUNK_ROWS * call.threads + pieces) * panels.row_numbers());
                if (Cell::has_cell) cells[d] = arena.take<real>(pieces * panels.padded_units());
                if (call.projected()) unprojected[d] = arena.take<real>(pieces * panels.padded_units());
            }
            if (Numbers::rounds) {
                constexpr int L = Lanes<real>::count;
                panel_numbers = larger(Cell::gates, MOST_VECTORS) * L * larger(call.input_size, call.output_size);
                state_length = panels.padded_units() / 2;
                panel[d] = arena.take<real>(call.threads * panel_numbers);
                inputs[d] = arena.take<factor>(
                    (CHUNK_ROWS * call.threads + pieces) * (Numbers::length(call.input_size) + L));
                states[d] = arena.take<factor>(2 * pieces * state_length);
            }
        }
    }
};

// What `Direction::saved` holds when training, packed rows of M steps: the slots; the LSTM's cells; what is projected.
template <class Cell>
struct Saved {
    using real = typename Cell::real;
    real *slots, *cells, *unprojected;
    Index row, units;
    Saved(const Call<real>& call, real* block) {
        const Panels<Cell> panels(call.hidden_size);
        const Index steps = call.plan.real_steps();
        row = panels.row_numbers();
        units = panels.padded_units();
        slots = block;
        cells = slots + steps * row;
        unprojected = cells + (Cell::has_cell ? steps * units : 0);
    }
    static Index numbers(const Call<real>& call) {
        const Panels<Cell> panels(call.hidden_size);
        const Index extra = (Cell::has_cell ? 1 : 0) + (call.projected() ? 1 : 0);
        return call.plan.real_steps() * (panels.row_numbers() + extra * panels.padded_units());
    }
};

}  // namespace ELMAN_VARIANT
}  // namespace elman
