// WEIGHT GRADIENTS: d_weight[column] += gradient[m][column] * source[m], over all M steps of all pieces.
//
// This product sums over time, so it waits until time is done and then is one large product. For some hundred
// steps at a time both sides are packed in the order in which the tile reads them: the sources (input and hidden
// state, shared by all threads) in panels of three vectors, the gradients in strips of as many columns as the tile
// has rows (each thread its own). Where tokens are read, the gradient of a token's row is the sum of the gradients of
// the steps that read it. The order of all sums is fixed, whatever the number of threads.
#pragma once

#include "share.h"

namespace elman {
namespace ELMAN_VARIANT {

constexpr Index STEPS_AT_A_TIME = 256;
constexpr Index STEPS_IN_A_SUM = 16;
constexpr int SOURCE_VECTORS = 3;

template <class real>
constexpr int strip_width() {
    constexpr int most = SUMS / SOURCE_VECTORS;
    return Lanes<real>::count < most ? Lanes<real>::count : most;
}

template <class real>
struct WeightGradientScratch {
    real *sources, *gradients;
    real* token_sums;  // [I, row of `saved`] where tokens are read

    WeightGradientScratch(const Call<real>& call, Arena& arena) {
        constexpr int L = Lanes<real>::count;
        const Index vectors = divided_up(input_columns(call), L) + divided_up(call.output_size, L);
        const Index hidden = divided_up(call.hidden_size, L), outputs = divided_up(call.output_size, L);
        const Index steps = smaller(STEPS_AT_A_TIME, call.plan.real_steps());
        sources = arena.take<real>(steps * larger(vectors, hidden) * L);
        gradients = arena.take<real>(steps * larger(4 * hidden, outputs) * L);
        token_sums = call.reads_tokens() ? arena.take<real>(call.input_size * 4 * hidden * L) : nullptr;
    }
    // What is multiplied as a matrix.
    static Index input_columns(const Call<real>& call) { return call.reads_tokens() ? 0 : call.input_size; }
};

// Rows of numbers beside each other in panels of SOURCE_VECTORS vectors, [panel][m][vector].
template <class real>
struct Sources {
    static constexpr int L = Lanes<real>::count;
    Index columns, vectors;
    real* packed;
    Sources(Index columns, real* packed) : columns(columns), vectors(divided_up(columns, L)), packed(packed) {}
    real* panel(Index first_vector, Index steps) const { return packed + first_vector * L * steps; }
    Index vectors_from(Index first_vector) const { return smaller(SOURCE_VECTORS, vectors - first_vector); }

    void pack(const real* row, Index m, Index steps) const {
        for (Index first = 0; first < vectors; first += SOURCE_VECTORS) {
            const Index wide = vectors_from(first);
            real* to = panel(first, steps) + m * wide * L;
            for (Index v = 0; v < wide; ++v)
                store<real>(to + v * L, load_up_to(row + (first + v) * L, columns - (first + v) * L));
        }
    }
};

// One strip of gradients [steps][width] times all sources, from step `begin` on, added to rows of a weight gradient.
template <class real>
inline void strip_times_sources(
    const real* strip, const Sources<real>& sources, Index begin, Index steps, real* const* rows, bool add) {
    constexpr int R = strip_width<real>(), L = Lanes<real>::count;
    for (Index first = 0; first < sources.vectors; first += SOURCE_VECTORS) {
        const real* panel = sources.panel(first, steps);
        with_vectors(sources.vectors_from(first), [&](auto vectors) __attribute__((always_inline)) {
            constexpr int V = decltype(vectors)::value < SOURCE_VECTORS ? decltype(vectors)::value : SOURCE_VECTORS;
            Sums<real, R, V> sums{};
            const real* a = strip + begin * R;
            const real* b = panel + begin * V * L;
            for (Index m = begin; m < steps; ++m, a += R, b += V * L) {
                Vector<real> source[V];
#pragma GCC unroll 3
                for (int v = 0; v < V; ++v) source[v] = load(b + v * L);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const Vector<real> gradient = splat(a[r]);
#pragma GCC unroll 3
                    for (int v = 0; v < V; ++v) sums.at[r][v] += gradient * source[v];
                }
            }
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                if (!rows[r]) continue;
#pragma GCC unroll 3
                for (int v = 0; v < V; ++v) {
                    const Index column = (first + v) * L, left = sources.columns - column;
                    real* to = rows[r] + column;
                    store_up_to<real>(to, add ? sums.at[r][v] + load_up_to(to, left) : sums.at[r][v], left);
                }
            }
        });
    }
}

// The gradients of one direction's weights and biases.
template <class Cell, class Scratch>
class WeightGradients {
    using real = typename Cell::real;
    static constexpr int L = Lanes<real>::count, W = strip_width<real>();

    const Call<real>& call;
    const Direction<real>& direction;
    const int d;
    const Scratch& scratch;
    const int member, members;
    Barrier& barrier;
    const Panels<Cell> units;
    const Saved<Cell> saved;
    const Plan& plan;
    const bool starts_at_zero;

  public:
    WeightGradients(
        const Call<real>& call, int d, const Scratch& scratch, int member, int members, Barrier& barrier)
        : call(call),
          direction(call.direction[d]),
          d(d),
          scratch(scratch),
          member(member),
          members(members),
          barrier(barrier),
          units(call.hidden_size),
          saved(call, direction.saved),
          plan(call.plan),
          starts_at_zero(is_zero(direction.initial_hidden, plan.pieces * call.output_size)) {}

    void run() {
        const Index steps = plan.real_steps();
        const bool of_tokens = call.reads_tokens() && direction.d_weight_ih;
        if (of_tokens) clear_token_sums();
        for (Index start = 0; start < steps; start += STEPS_AT_A_TIME) {
            const Index end = smaller(steps, start + STEPS_AT_A_TIME);
            if (of_tokens) add_to_token_sums(start, end);
            gates(start, end);
        }
        if (of_tokens) give_token_sums();
        if (call.projected() && direction.d_weight_hr)
            for (Index start = 0; start < steps; start += STEPS_AT_A_TIME)
                projection(start, smaller(steps, start + STEPS_AT_A_TIME));
    }

  private:
    Index time(Index s, Index p) const { return d == 1 ? plan.length_of(p) - 1 - s : s; }
    const real* hidden_before(Index s, Index p) const {
        if (s == 0) return direction.initial_hidden + p * call.output_size;
        return call.output.at(plan, p, time(s - 1, p)) + d * call.output_size;
    }
    // Call `body(m - start, s, p)` for this thread's share of packed rows [start, end).
    template <class Body>
    void for_my_steps(Index start, Index end, const Body& body) const {
        const Index many = end - start;
        const Index mine = start + many * member / members, stop = start + many * (member + 1) / members;
        for_steps(plan, mine, stop, [&](Index m, Index s, Index p) { body(m - start, s, p); });
    }

    void gates(Index start, Index end) {
        const Index steps = end - start;
        // The products of the first steps with a state of zero are zero.
        const Index begin = starts_at_zero ? larger(0, smaller(steps, plan.offset[1] - start)) : 0;
        real* const d_input_weight = call.reads_tokens() ? nullptr : direction.d_weight_ih;
        const Sources<real> inputs(scratch.weights.input_columns(call), scratch.weights.sources);
        const Sources<real> states(call.output_size, scratch.weights.sources + inputs.vectors * L * steps);
        for_my_steps(start, end, [&](Index m, Index s, Index p) {
            if (d_input_weight) inputs.pack(call.input.at(plan, p, time(s, p)), m, steps);
            states.pack(hidden_before(s, p), m, steps);
        });
        const Index columns = units.row_numbers(), strips = columns / W;
        const Index first = strips * member / members, last = strips * (member + 1) / members;
        pack_strips(start, end, saved.slots, saved.row, first, last);
        add_biases(first, last, steps, start > 0);
        barrier.wait(members);
        for (Index strip = first; strip < last; ++strip) {
            const int slot = static_cast<int>(strip * W / L % Cell::slots);
            real *ih[W], *hh[W];
            for (int r = 0; r < W; ++r) {
                const Index unit = unit_of(strip * W + r), row = Cell::torch_gate(slot) * units.units + unit;
                const bool exists = unit < units.units;
                ih[r] = exists && d_input_weight ? d_input_weight + row * call.input_size : nullptr;
                hh[r] = exists && direction.d_weight_hh ? direction.d_weight_hh + row * call.output_size : nullptr;
            }
            const real* packed = scratch.weights.gradients + strip * W * steps;
            if (acts_on(Cell::input_slot, slot) && d_input_weight)
                strip_times_sources(packed, inputs, 0, steps, ih, start > 0);
            if (acts_on(Cell::hidden_slot, slot) && direction.d_weight_hh)
                strip_times_sources(packed, states, begin, steps, hh, start > 0);
        }
        barrier.wait(members);
    }

    void projection(Index start, Index end) {
        const Index steps = end - start;
        const Sources<real> sources(call.hidden_size, scratch.weights.sources);
        for_my_steps(start, end, [&](Index m, Index s, Index p) {
            sources.pack(saved.unprojected + (plan.offset[s] + p) * saved.units, m, steps);
        });
        const Index padded = Columns<real>(call.output_size).padded(), strips = padded / W;
        const Index first = strips * member / members, last = strips * (member + 1) / members;
        pack_strips(start, end, scratch.d_projected[d], padded, first, last);
        barrier.wait(members);
        for (Index strip = first; strip < last; ++strip) {
            real* rows[W];
            for (int r = 0; r < W; ++r) {
                const Index row = strip * W + r;
                rows[r] = row < call.output_size ? direction.d_weight_hr + row * call.hidden_size : nullptr;
            }
            strip_times_sources(scratch.weights.gradients + strip * W * steps, sources, 0, steps, rows, start > 0);
        }
        barrier.wait(members);
    }

    // The sums of tokens, in the order of the slots; each thread has some columns of all of them.
    Index first_column() const { return units.row_numbers() / W * member / members * W; }
    Index end_column() const { return units.row_numbers() / W * (member + 1) / members * W; }
    real* token_sums(Index token) const { return scratch.weights.token_sums + token * units.row_numbers(); }

    void clear_token_sums() const {
        const auto bytes = static_cast<std::size_t>(end_column() - first_column()) * sizeof(real);
        for (Index token = 0; token < call.input_size; ++token) std::memset(token_sums(token) + first_column(), 0, bytes);
    }

    void add_to_token_sums(Index start, Index end) const {
        const Index first = first_column(), columns = end_column() - first;
        for_steps(plan, start, end, [&](Index m, Index s, Index p) {
            const real* __restrict from = saved.slots + m * saved.row + first;
            real* __restrict to = token_sums(*call.tokens.at(plan, p, time(s, p))) + first;
            for (Index column = 0; column < columns; ++column) to[column] += from[column];
        });
    }

    void give_token_sums() const {
        for (Index token = 0; token < call.input_size; ++token)
            for (Index column = first_column(); column < end_column(); ++column) {
                const int slot = static_cast<int>(column / L % Cell::slots);
                const Index unit = unit_of(column), row = Cell::torch_gate(slot) * units.units + unit;
                if (unit < units.units && acts_on(Cell::input_slot, slot))
                    direction.d_weight_ih[token * Cell::gates * units.units + row] = token_sums(token)[column];
            }
    }

    Index unit_of(Index column) const { return column / (Cell::slots * L) * L + column % L; }
    static bool acts_on(int first_slot, int slot) { return slot >= first_slot && slot < first_slot + Cell::gates; }

    // Columns [first * W, last * W) of packed rows [start, end) as [strip][m][W].
    void pack_strips(Index start, Index end, const real* from, Index row, Index first, Index last) const {
        const Index steps = end - start;
        for (Index m = 0; m < steps; ++m)
            for (Index strip = first; strip < last; ++strip)
                std::memcpy(
                    scratch.weights.gradients + (strip * steps + m) * W, from + (start + m) * row + strip * W,
                    W * sizeof(real));
    }

    void add_biases(Index first, Index last, Index steps, bool add) const {
        if (!direction.d_bias_ih && !direction.d_bias_hh) return;
        for (Index strip = first; strip < last; ++strip) {
            const int slot = static_cast<int>(strip * W / L % Cell::slots);
            const real* packed = scratch.weights.gradients + strip * W * steps;
            real sums[W] = {};
            // A sum of short sums: a chain of hundreds of additions to one number loses a digit.
            for (Index start = 0; start < steps; start += STEPS_IN_A_SUM) {
                real some[W] = {};
                for (Index m = start; m < smaller(start + STEPS_IN_A_SUM, steps); ++m)
                    for (int r = 0; r < W; ++r) some[r] += packed[m * W + r];
                for (int r = 0; r < W; ++r) sums[r] += some[r];
            }
            for (int r = 0; r < W; ++r) {
                const Index unit = unit_of(strip * W + r), row = Cell::torch_gate(slot) * units.units + unit;
                if (unit >= units.units) continue;
                if (direction.d_bias_ih && acts_on(Cell::input_slot, slot))
                    direction.d_bias_ih[row] = sums[r] + (add ? direction.d_bias_ih[row] : real(0));
                if (direction.d_bias_hh && acts_on(Cell::hidden_slot, slot))
                    direction.d_bias_hh[row] = sums[r] + (add ? direction.d_bias_hh[row] : real(0));
            }
        }
    }
};

template <class Cell, class Scratch>
void weight_gradients(
    const Call<typename Cell::real>& call, const Scratch& scratch, int member, int members, Barrier& barrier) {
    for (int d = 0; d < call.directions; ++d)
        WeightGradients<Cell, Scratch>(call, d, scratch, member, members, barrier).run();
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
