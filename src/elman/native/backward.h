// BACKWARD: through time, then the gradients that need no order.
//
// Step by step from the last: the gradient of the hidden state is what arrives from above, plus the next step's gate
// gradients times the hidden weights; the tile leaves it in registers, where the cell turns it into this step's
// gate gradients, in place of the gates. When all steps are done, the gradients of the input and of the weights
// are large products over all steps at once.
#pragma once

#include "forward.h"
#include "weight_gradient.h"

namespace elman {
namespace ELMAN_VARIANT {

template <class Cell>
struct BackwardScratch {
    using real = typename Cell::real;
    real *packed_hh[2], *packed_ih[2], *packed_hr[2];  // in columns, see pack.h
    real* carry[2];                                    // [N, padded H] see cells.h
    real* d_projected[2];                              // [M, padded P] gradients of the hidden state
    WeightGradientScratch<real> weights;

    BackwardScratch(const Call<real>& call, Arena& arena) : weights(call, arena) {
        const Panels<Cell> units(call.hidden_size);
        const Columns<real> outputs(call.output_size), inputs(call.input_size), hidden(call.hidden_size);
        const Index wide = units.padded_units() * Cell::gates;
        for (int d = 0; d < call.directions; ++d) {
            packed_hh[d] = arena.take<real>(outputs.padded() * wide);
            packed_ih[d] = call.d_input.data ? arena.take<real>(inputs.padded() * wide) : nullptr;
            carry[d] = Cell::carries ? arena.take<real>(call.plan.pieces * units.padded_units()) : nullptr;
            if (call.projected()) {
                packed_hr[d] = arena.take<real>(hidden.padded() * call.output_size);
                d_projected[d] = arena.take<real>(call.plan.real_steps() * outputs.padded());
            }
        }
    }
};

template <class Cell>
class Backward {
    using real = typename Cell::real;
    static constexpr int L = Lanes<real>::count;

    const Call<real>& call;
    const Direction<real>& direction;
    const int d;
    const bool reversed;
    const BackwardScratch<Cell>& scratch;
    const Share& share;
    const Panels<Cell> units;
    const Columns<real> outputs, hidden;
    const Saved<Cell> saved;
    const Plan& plan;
    const bool is_short;

  public:
    Backward(const Call<real>& call, int d, const BackwardScratch<Cell>& scratch, const Share& share)
        : call(call),
          direction(call.direction[d]),
          d(d),
          reversed(d == 1),
          scratch(scratch),
          share(share),
          units(call.hidden_size),
          outputs(call.output_size),
          hidden(call.hidden_size),
          saved(call, direction.saved),
          plan(call.plan),
          is_short(call.plan.real_steps() <= SHORT_CALL) {}

    void run() {
        pack();
        start_carry();
        // Before the first step there is only the gradient of the initial state.
        for (Index s = plan.steps - 1; s >= (direction.d_initial_hidden ? -1 : 0); --s) {
            // The pieces that come from step s + 1, and those whose last step is s.
            const Index through = share.pieces_of(plan.active(s + 1));
            const Index all = s >= 0 ? share.pieces_of(plan.active(s)) : share.pieces_of(plan.pieces);
            for (Index panel = share.first_of(outputs.count); panel < share.end_of(outputs.count); ++panel) {
                if (is_short)
                    short_step(panel, s, through);
                else
                    with_vectors(outputs.vectors_of(panel), [&](auto vectors) {
                        from_next_step<decltype(vectors)::value>(panel, s, through);
                    });
                from_above(panel, s, through, all);
            }
            share.meet_after_step();
            if (call.projected() && s >= 0) {
                for (Index panel = share.first_of(hidden.count); panel < share.end_of(hidden.count); ++panel)
                    with_vectors(hidden.vectors_of(panel), [&](auto vectors) {
                        through_projection<decltype(vectors)::value>(panel, s, all);
                    });
                share.meet_after_step();
            }
        }
        if (Cell::has_cell && direction.d_initial_cell)
            for (Index p = share.member; p < plan.pieces; p += share.members)
                std::memcpy(
                    direction.d_initial_cell + p * call.hidden_size, scratch.carry[d] + p * units.padded_units(),
                    call.hidden_size * sizeof(real));
    }

  private:
    Index time(Index s, Index p) const { return reversed ? plan.length_of(p) - 1 - s : s; }
    real* output(Index s, Index p) const { return call.output.at(plan, p, time(s, p)) + d * call.output_size; }
    real* slots(Index s, Index p) const { return saved.slots + (plan.offset[s] + p) * saved.row; }
    real* carry(Index p) const { return scratch.carry[d] + p * units.padded_units(); }

    void pack() {
        for (Index panel = share.first_to_pack(outputs.count); !is_short && panel < share.end_to_pack(outputs.count);
             ++panel)
            pack_backward(
                units, Cell::hidden_slot, panel, direction.weight_hh, call.output_size, scratch.packed_hh[d]);
        if (call.projected())
            for (Index panel = share.first_to_pack(hidden.count); panel < share.end_to_pack(hidden.count); ++panel)
                pack_plain_backward(
                    panel, direction.weight_hr, call.output_size, call.hidden_size, scratch.packed_hr[d]);
    }

    void start_carry() {
        if (Cell::carries)
            for (Index p = share.member; p < plan.pieces; p += share.members)
                for (Index unit = 0; unit < units.padded_units(); unit += L) {
                    const real* from = Cell::has_cell && direction.d_final_cell
                                           ? direction.d_final_cell + p * call.hidden_size + unit
                                           : nullptr;
                    store<real>(carry(p) + unit, from ? load_up_to(from, call.hidden_size - unit) : Vector<real>{});
                }
        share.meet();
    }

    // The gradient of the hidden state after step s (before the first step: s = -1). First, for the pieces that
    // go on: the next step's gate gradients times the hidden weights, then the rest.
    template <int V>
    void from_next_step(Index panel, Index s, Index pieces) const {
        const real* weights = scratch.packed_hh[d] + outputs.before(panel, units.padded_units() * Cell::gates);
        in_tiles<V>(pieces, [&](auto number, Index first) __attribute__((always_inline)) {
            constexpr int R = decltype(number)::value;
            Sums<real, R, V> sums{};
            const real* a[R];
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) a[r] = slots(s + 1, share.piece(first + r)) + Cell::hidden_slot * L;
            multiply<real, R, V>(sums, a, slots_of(units), weights);
            Vector<real> all[R * V];
            spill(sums, all);
            add_rest(s, first, R, outputs.first_column(panel), V, all, true);
        });
    }

    // The same with weights as they lie.
    void short_step(Index panel, Index s, Index pieces) const {
        const Index column = outputs.first_column(panel), vectors = outputs.vectors_of(panel);
        for (Index i = 0; i < pieces; ++i) {
            Vector<real> sums[MOST_VECTORS] = {};
            add_columns(
                units, Cell::hidden_slot, slots(s + 1, share.piece(i)), direction.weight_hh, call.output_size, column,
                vectors, sums);
            add_rest(s, i, 1, column, vectors, sums, true);
        }
    }

    // For the pieces that end at this step there is only what arrives from above.
    void from_above(Index panel, Index s, Index first, Index end) const {
        const Vector<real> nothing[MOST_VECTORS] = {};
        for (; first < end; ++first)
            add_rest(s, first, 1, outputs.first_column(panel), outputs.vectors_of(panel), nothing, false);
    }

    ELMAN_APART void add_rest(
        Index s, Index first, int rows, Index column, Index vectors, const Vector<real>* sums, bool goes_on) const {
        for (int r = 0; r < rows; ++r)
            for (Index v = 0; v < vectors; ++v, ++sums)
                add_rest(s, share.piece(first + r), column + v * L, *sums, goes_on);
    }

    ELMAN_INLINE void add_rest(Index s, Index p, Index column, Vector<real> gradient, bool goes_on) const {
        const Index left = call.output_size - column;
        if (!goes_on) {
            if (direction.d_final_hidden)
                gradient = load_up_to(direction.d_final_hidden + p * call.output_size + column, left);
        } else if (Cell::carries && !Cell::has_cell) {
            gradient += load(carry(p) + column);
        }
        if (s < 0) {
            if (direction.d_initial_hidden)
                store_up_to<real>(direction.d_initial_hidden + p * call.output_size + column, gradient, left);
            return;
        }
        if (call.d_output.data)
            gradient +=
                load_up_to(call.d_output.at(plan, p, time(s, p)) + d * call.output_size + column, left);
        if (call.projected())
            store<real>(scratch.d_projected[d] + (plan.offset[s] + p) * outputs.padded() + column, gradient);
        else
            gate_gradients(s, p, column, gradient);
    }

    ELMAN_INLINE void gate_gradients(Index s, Index p, Index unit, Vector<real> gradient) const {
        const Index left = call.hidden_size - unit;
        Vector<real> now{}, before{}, kept{};
        if (Cell::has_cell) {
            now = load(saved.cells + (plan.offset[s] + p) * saved.units + unit);
            before = s > 0 ? load(saved.cells + (plan.offset[s - 1] + p) * saved.units + unit)
                           : load_up_to(direction.initial_cell + p * call.hidden_size + unit, left);
            kept = load(carry(p) + unit);
        } else if (Cell::carries) {
            before = s > 0 ? load_up_to(output(s - 1, p) + unit, left)
                           : load_up_to(direction.initial_hidden + p * call.hidden_size + unit, left);
        } else {
            now = load_up_to(output(s, p) + unit, left);
        }
        Cell::back(slots(s, p) + unit * Cell::slots, gradient, kept, now, before);
        if (Cell::carries) store<real>(carry(p) + unit, kept);
        if (left < L) forget_padding(slots(s, p) + unit * Cell::slots, left);
    }

    // Units that do not exist have weights of zero, and zero times what is not finite would reach those that do.
    static void forget_padding(real* slots, Index units) {
        for (int slot = 0; slot < Cell::slots; ++slot)
            store<real>(slots + slot * L, load_first(slots + slot * L, units));
    }

    template <int V>
    void through_projection(Index panel, Index s, Index pieces) const {
        const real* weights = scratch.packed_hr[d] + hidden.before(panel, call.output_size);
        in_tiles<V>(pieces, [&](auto number, Index first) __attribute__((always_inline)) {
            constexpr int R = decltype(number)::value;
            Sums<real, R, V> sums{};
            const real* a[R];
            for (int r = 0; r < R; ++r)
                a[r] = scratch.d_projected[d] + (plan.offset[s] + share.piece(first + r)) * outputs.padded();
            multiply<real, R, V>(sums, a, all_of(call.output_size), weights);
            Vector<real> all[R * V];
            spill(sums, all);
            gate_gradients(s, first, R, hidden.first_column(panel), V, all);
        });
    }

    ELMAN_APART void gate_gradients(
        Index s, Index first, int rows, Index unit, Index vectors, const Vector<real>* sums) const {
        for (int r = 0; r < rows; ++r)
            for (Index v = 0; v < vectors; ++v, ++sums) gate_gradients(s, share.piece(first + r), unit + v * L, *sums);
    }
};

// The packed row at which the backward direction is at step s of piece p.
ELMAN_INLINE Index mirrored(const Plan& plan, Index s, Index p) { return plan.offset[plan.length_of(p) - 1 - s] + p; }

// The gradient of the input: for each step, the gate gradients of both directions times the input weights.
template <class Cell>
void input_gradient(
    const Call<typename Cell::real>& call, const BackwardScratch<Cell>& scratch, int member, int members,
    Barrier& barrier) {
    using real = typename Cell::real;
    constexpr int L = Lanes<real>::count;
    const Panels<Cell> units(call.hidden_size);
    const Columns<real> inputs(call.input_size);
    const Plan& plan = call.plan;
    const Index depth = units.padded_units() * Cell::gates, row = units.row_numbers();
    const Index first = plan.real_steps() * member / members, end = plan.real_steps() * (member + 1) / members;
    const auto slots_at = [&](int d, Index m) { return Saved<Cell>(call, call.direction[d].saved).slots + m * row; };
    if (plan.real_steps() <= SHORT_CALL) {
        for_steps(plan, first, end, [&](Index m, Index s, Index p) {
            for (Index panel = 0; panel < inputs.count; ++panel) {
                const Index column = inputs.first_column(panel), vectors = inputs.vectors_of(panel);
                Vector<real> sums[MOST_VECTORS] = {};
                for (int d = 0; d < call.directions; ++d)
                    add_columns(
                        units, Cell::input_slot, slots_at(d, d == 0 ? m : mirrored(plan, s, p)),
                        call.direction[d].weight_ih, call.input_size, column, vectors, sums);
                for (Index v = 0; v < vectors; ++v)
                    store_up_to<real>(
                        call.d_input.at(plan, p, s) + column + v * L, sums[v], call.input_size - column - v * L);
            }
        });
        return;
    }
    for (int d = 0; d < call.directions; ++d)
        for (Index panel = member; panel < inputs.count; panel += members)
            pack_backward(
                units, Cell::input_slot, panel, call.direction[d].weight_ih, call.input_size, scratch.packed_ih[d]);
    barrier.wait(members);

    const real* from[2][CHUNK_ROWS];
    real* to[CHUNK_ROWS];
    Index rows = 0;
    const auto flush = [&] {
        for (Index panel = 0; panel < inputs.count; ++panel)
            with_vectors(inputs.vectors_of(panel), [&](auto vectors) {
                constexpr int V = decltype(vectors)::value;
                in_tiles<V>(rows, [&](auto number, Index first) __attribute__((always_inline)) {
                    constexpr int R = decltype(number)::value;
                    Sums<real, R, V> sums{};
                    for (int d = 0; d < call.directions; ++d) {
                        const real* a[R];
#pragma GCC unroll 8
                        for (int r = 0; r < R; ++r) a[r] = from[d][first + r];
                        multiply<real, R, V>(
                            sums, a, slots_of(units), scratch.packed_ih[d] + inputs.before(panel, depth));
                    }
                    Vector<real> all[R * V];
                    spill(sums, all);
                    const Index column = inputs.first_column(panel);
                    for (int r = 0; r < R; ++r)
                        for (int v = 0; v < V; ++v)
                            store_up_to<real>(
                                to[first + r] + column + v * L, all[r * V + v], call.input_size - column - v * L);
                });
            });
        rows = 0;
    };
    for_steps(plan, first, end, [&](Index m, Index s, Index p) {
        from[0][rows] = slots_at(0, m) + Cell::input_slot * L;
        if (call.directions == 2) from[1][rows] = slots_at(1, mirrored(plan, s, p)) + Cell::input_slot * L;
        to[rows] = call.d_input.at(plan, p, s);
        if (++rows == CHUNK_ROWS) flush();
    });
    if (rows) flush();
}

template <class Cell>
Index backward_scratch(const Call<typename Cell::real>& call) {
    Arena arena{nullptr};
    BackwardScratch<Cell> scratch(call, arena);
    return arena.used;
}

template <class Cell>
void backward(const Call<typename Cell::real>& call, char* block) {
    using real = typename Cell::real;
    Arena arena{block};
    const BackwardScratch<Cell> scratch(call, arena);
    struct Work {
        const Call<real>& call;
        const BackwardScratch<Cell>& scratch;
        Barrier barriers[2], all;
    } work{call, scratch, {}, {}};
    in_parallel(
        threads_for(call, 2),
        [](void* what, int member, int members) {
            Work& work = *static_cast<Work*>(what);
            const Groups groups(member, members, work.call.directions, work.call.plan.pieces, work.barriers);
            for (int i = 0; i < groups.directions_here; ++i)
                Backward<Cell>(work.call, groups.first_direction + i, work.scratch, groups.share).run();
            work.all.wait(members);
            if (work.call.d_input.data) input_gradient<Cell>(work.call, work.scratch, member, members, work.all);
            weight_gradients<Cell>(work.call, work.scratch, member, members, work.all);
        },
        &work);
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
