// FORWARD: a layer over time.
//
// For some steps at a time, the products with the input, which wait for nothing: many rows a panel, so that the input
// weights come from the cache. Then step by step the products with the hidden state, in the same registers as
// the gates: sums are loaded, multiplied, squashed, stored, and never seen by another loop. Where tokens are read,
// the products with the input are looked up.
#pragma once

#include "memory.h"

namespace elman {
namespace ELMAN_VARIANT {

template <class Cell, class Numbers>
class Forward {
    using real = typename Cell::real;
    using factor = typename Numbers::factor;
    static constexpr int L = Lanes<real>::count;

    const Call<real>& call;
    const Direction<real>& direction;
    const int d;
    const bool reversed;
    const ForwardScratch<Cell, Numbers>& scratch;
    const Share& share;
    const Panels<Cell> panels;
    const Saved<Cell> saved;
    const Plan& plan;
    const bool is_short, starts_at_zero;
    Index chunk_start = 0;

  public:
    Forward(
        const Call<real>& call, int d, const ForwardScratch<Cell, Numbers>& scratch, const Share& share,
        bool is_short)
        : call(call),
          direction(call.direction[d]),
          d(d),
          reversed(d == 1),
          scratch(scratch),
          share(share),
          panels(call.hidden_size),
          saved(call, direction.saved),
          plan(call.plan),
          is_short(is_short),
          starts_at_zero(are_zero(share, plan.pieces, direction.initial_hidden, call.output_size)) {}

    void run() {
        const Index chunk = larger(1, CHUNK_ROWS / larger(1, share.most_pieces(plan.pieces)));
        for (Index start = 0; start < plan.steps; start += chunk) {
            const Index end = smaller(plan.steps, start + chunk);
            chunk_start = start;
            if constexpr (Numbers::rounds) round_rows(start, end);
            for (Index panel = share.first_of(panels.count); panel < share.end_of(panels.count); ++panel)
                if (call.reads_tokens())
                    from_tokens(panel, start, end);
                else if (!is_short)
                    panels.with_vectors_of(panel, [&](auto v) { from_input<decltype(v)::value>(panel, start, end); });
            for (Index s = start; s < end; ++s) {
                for (Index panel = share.first_of(panels.count); panel < share.end_of(panels.count); ++panel)
                    if (is_short)
                        short_step(panel, s);
                    else
                        panels.with_vectors_of(panel, [&](auto v) { from_hidden<decltype(v)::value>(panel, s); });
                share.meet_after_step();
                if (call.projected()) {
                    project(s);
                    share.meet_after_step();
                }
            }
        }
        give_final_states();
    }

  private:
    // Places ----------------------------------------------------------------------------------------------------
    Index time(Index s, Index p) const { return reversed ? plan.length_of(p) - 1 - s : s; }
    real* output(Index s, Index p) const { return call.output.at(plan, p, time(s, p)) + d * call.output_size; }
    const real* hidden_before(Index s, Index p) const {
        return s > 0 ? output(s - 1, p) : direction.initial_hidden + p * call.output_size;
    }
    // The same as they are multiplied.
    const factor* input_row(Index s, Index p) const {
        if constexpr (Numbers::rounds)
            return rounded_input(s, p);
        else
            return call.input.at(plan, p, time(s, p));
    }
    const factor* hidden_row(Index s, Index p) const {
        if constexpr (Numbers::rounds)
            return rounded_state(s, p);
        else
            return hidden_before(s, p);
    }
    factor* rounded_input(Index s, Index p) const {
        const Index length = Numbers::length(call.input_size) + L;  // rounding writes whole vectors
        return scratch.inputs[d] + ((s - chunk_start) * plan.pieces + p) * length;
    }
    factor* rounded_state(Index s, Index p) const {
        return scratch.states[d] + ((s & 1) * plan.pieces + p) * scratch.state_length;
    }
    real* row(Index s, Index p) const {
        if (call.training) return saved.slots + (plan.offset[s] + p) * saved.row;
        return scratch.rows[d] + ((s - chunk_start) * plan.pieces + p) * saved.row;  // always the same thread's
    }
    real* cell(Index s, Index p) const {
        return call.training ? saved.cells + (plan.offset[s] + p) * saved.units : scratch.cells[d] + p * saved.units;
    }
    real* unprojected(Index s, Index p) const {
        return call.training ? saved.unprojected + (plan.offset[s] + p) * saved.units
                             : scratch.unprojected[d] + p * saved.units;
    }

  public:
    // Fill the scratch memory with this direction's weights, once a call, or once for many calls.
    void pack() {
        for (Index panel = share.first_to_pack(panels.count); panel < share.end_to_pack(panels.count); ++panel) {
            if (!is_short && !call.reads_tokens())
                pack_weights(panel, Cell::input_slot, direction.weight_ih, call.input_size, scratch.packed_ih[d]);
            if (!is_short)
                pack_weights(panel, Cell::hidden_slot, direction.weight_hh, call.output_size, scratch.packed_hh[d]);
            for (Index b = 0; b < panels.blocks_of(panel); ++b) pack_bias(panels.first_block(panel) + b);
        }
        if (call.projected()) {
            const Columns<real> outputs(call.output_size);
            for (Index panel = share.first_to_pack(outputs.count); panel < share.end_to_pack(outputs.count); ++panel)
                pack_plain(panel, direction.weight_hr, call.output_size, call.hidden_size, scratch.packed_hr[d]);
        }
        share.meet();
    }

  private:
    void pack_weights(Index panel, int first_slot, const real* weight, Index inner, factor* packed) {
        if constexpr (Numbers::rounds) {
            real* plain = scratch.panel[d] + share.member * scratch.panel_numbers;
            pack_forward(panels, panel, first_slot, weight, inner, plain);
            round_panel(
                plain, inner, panels.vectors_of(panel), packed + panels.before(panel, Numbers::length(inner)));
        } else {
            pack_forward(panels, panel, first_slot, weight, inner, packed + panels.before(panel, inner));
        }
    }

    // Round the inputs of a chunk, and before the first step the states that all start from.
    void round_rows(Index start, Index end) {
        const Index first = share.by_rows ? 0 : share.member, by = share.by_rows ? 1 : share.members;
        for (Index s = start; s < end; ++s)
            for (Index i = first; i < share.pieces_of(plan.active(s)); i += by) {
                const Index p = share.piece(i);
                round_row(call.input.at(plan, p, time(s, p)), call.input_size, rounded_input(s, p));
                const real* initial = direction.initial_hidden + p * call.output_size;
                if (s == 0) round_row(initial, call.output_size, rounded_state(0, p));
            }
        share.meet_after_step();
    }

    // Both biases act at once, but for the part of the GRU's candidate that the reset gate scales.
    void pack_bias(Index block) {
        for (int slot = 0; slot < Cell::slots; ++slot)
            for (Index lane = 0; lane < L; ++lane) {
                const Index unit = block * L + lane, row = Cell::torch_gate(slot) * panels.units + unit;
                real value = 0;
                const bool from_ih = slot >= Cell::input_slot && slot < Cell::input_slot + Cell::gates;
                const bool from_hh = slot >= Cell::hidden_slot && slot < Cell::hidden_slot + Cell::gates;
                if (unit < panels.units && direction.bias_ih) {
                    if (from_ih) value += direction.bias_ih[row];
                    if (from_hh) value += direction.bias_hh[row];
                }
                if (from_ih)
                    scratch.bias[d][(block * Cell::gates + slot - Cell::input_slot) * L + lane] = value;
                else
                    scratch.hidden_bias[d][block * L + lane] = value;
            }
    }

    template <int V>
    void from_input(Index panel, Index start, Index end) {
        const Index block = panels.first_block(panel);
        const Index length = Numbers::length(call.input_size);
        const factor* weights = scratch.packed_ih[d] + panels.before(panel, length);
        const real* bias = scratch.bias[d] + block * Cell::gates * L;
        const factor* from[CHUNK_ROWS];
        real* to[CHUNK_ROWS];
        Index rows = 0;
        const auto flush = [&] {
            in_tiles<V>(rows, [&](auto number, Index first) __attribute__((always_inline)) {
                constexpr int R = decltype(number)::value;
                Sums<real, R, V> sums;
                const factor* a[R];
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    a[r] = from[first + r];
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) sums.at[r][v] = load(bias + v * L);
                }
                multiply<real, R, V>(sums, a, all_of(length), weights);
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) store<real>(to[first + r] + v * L, sums.at[r][v]);
            });
            rows = 0;
        };
        for (Index s = start; s < end; ++s) {
            const Index pieces = share.pieces_of(plan.active(s));
            for (Index i = 0; i < pieces; ++i) {
                const Index p = share.piece(i);
                from[rows] = input_row(s, p);
                to[rows] = row(s, p) + (block * Cell::slots + Cell::input_slot) * L;
                if (++rows == CHUNK_ROWS) flush();
            }
        }
        if (rows) flush();
    }

    // The same where tokens are read: a table's rows as they lie, for there may be more of them than steps.
    void from_tokens(Index panel, Index start, Index end) {
        for (Index s = start; s < end; ++s)
            for (Index i = 0; i < share.pieces_of(plan.active(s)); ++i) {
                const Index p = share.piece(i), token = *call.tokens.at(plan, p, time(s, p));
                const real* of_token = direction.weight_ih + token * Cell::gates * panels.units;
                for (Index b = 0; b < panels.blocks_of(panel); ++b) {
                    const Index block = panels.first_block(panel) + b, unit = block * L;
                    const real* bias = scratch.bias[d] + block * Cell::gates * L;
                    real* to = row(s, p) + (block * Cell::slots + Cell::input_slot) * L;
                    for (int g = 0; g < Cell::gates; ++g) {
                        const real* from = of_token + Cell::torch_gate(Cell::input_slot + g) * panels.units + unit;
                        store<real>(to + g * L, load(bias + g * L) + load_up_to(from, panels.units - unit));
                    }
                }
            }
    }

    // Both products of one step with weights as they lie.
    void short_step(Index panel, Index s) {
        for (Index i = 0; i < share.pieces_of(plan.active(s)); ++i)
            for (Index b = 0; b < panels.blocks_of(panel); ++b) {
                const Index p = share.piece(i), block = panels.first_block(panel) + b;
                Vector<real> inputs[Cell::gates], sums[Cell::gates];
                real* slots = row(s, p) + block * Cell::slots * L;
                for (int g = 0; g < Cell::gates; ++g)
                    inputs[g] = load(
                        call.reads_tokens() ? slots + (Cell::input_slot + g) * L
                                            : scratch.bias[d] + (block * Cell::gates + g) * L);
                if (!call.reads_tokens())
                    add_gates_of_block(
                        panels, block, Cell::input_slot, call.input.at(plan, p, time(s, p)), call.input_size,
                        direction.weight_ih, inputs);
                constexpr int shift = Cell::hidden_slot - Cell::input_slot;
                for (int g = 0; g < Cell::gates; ++g) {
                    if (Cell::slots > 1) store<real>(slots + (Cell::input_slot + g) * L, inputs[g]);
                    sums[g] = g + shift < Cell::gates ? inputs[(g + shift) % Cell::gates]
                                                      : load(scratch.hidden_bias[d] + block * L);
                }
                add_gates_of_block(
                    panels, block, Cell::hidden_slot, hidden_before(s, p), call.output_size, direction.weight_hh, sums);
                finish(s, i, 1, 1, block, sums);
            }
    }

    template <int V>
    void from_hidden(Index panel, Index s) {
        const Index first_block = panels.first_block(panel);
        const Index length = Numbers::length(call.output_size);
        const factor* weights = scratch.packed_hh[d] + panels.before(panel, length);
        const Inner inner = all_of(s == 0 && starts_at_zero ? 0 : length);
        in_tiles<V>(
            share.pieces_of(plan.active(s)), [&](auto number, Index first) __attribute__((always_inline)) {
                constexpr int R = decltype(number)::value;
                Sums<real, R, V> sums;
                const factor* a[R];
                real* slots[R];
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r) {
                    const Index p = share.piece(first + r);
                    a[r] = hidden_row(s, p);
                    slots[r] = row(s, p) + first_block * Cell::slots * L;
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) {
                        constexpr int shared = Cell::input_slot + Cell::gates - Cell::hidden_slot;
                        sums.at[r][v] = Cell::gates == 1 || v < shared
                                            ? load(slots[r] + (Cell::hidden_slot + v) * L)
                                            : load(scratch.hidden_bias[d] + first_block * L);
                    }
                }
                multiply<real, R, V>(sums, a, inner, weights);
                Vector<real> all[R * V];
                spill(sums, all);
                finish(s, first, R, V / Cell::gates, first_block, all);
            });
    }

    // Turn the sums of a tile into the states after the step: of `rows` pieces, `blocks` blocks of units each.
    ELMAN_APART void finish(
        Index s, Index first, int rows, Index blocks, Index first_block, const Vector<real>* sums) const {
        for (int r = 0; r < rows; ++r) {
            const Index p = share.piece(first + r);
            for (Index block = first_block; block < first_block + blocks; ++block, sums += Cell::gates) {
                const Index unit = block * L, left = call.hidden_size - unit;
                Vector<real> state{};
                if (Cell::has_cell)
                    state = s > 0 ? load(cell(s - 1, p) + unit)
                                  : load_up_to(direction.initial_cell + p * call.hidden_size + unit, left);
                else if (Cell::keeps_gates)
                    state = load_up_to(hidden_before(s, p) + unit, left);
                const Vector<real> hidden = Cell::step(sums, row(s, p) + unit * Cell::slots, state, call.training);
                if (Cell::has_cell) store<real>(cell(s, p) + unit, state);
                if constexpr (Numbers::rounds) store_rounded(rounded_state(s + 1, p) + unit / 2, hidden);
                if (call.projected())
                    store<real>(unprojected(s, p) + unit, hidden);
                else
                    store_up_to<real>(output(s, p) + unit, hidden, left);
            }
        }
    }

    void project(Index s) {
        const Columns<real> outputs(call.output_size);
        for (Index panel = share.first_of(outputs.count); panel < share.end_of(outputs.count); ++panel) {
            const real* weights = scratch.packed_hr[d] + outputs.before(panel, call.hidden_size);
            with_vectors(outputs.vectors_of(panel), [&](auto vectors) {
                constexpr int V = decltype(vectors)::value;
                in_tiles<V>(
                    share.pieces_of(plan.active(s)), [&](auto number, Index first) __attribute__((always_inline)) {
                        constexpr int R = decltype(number)::value;
                        Sums<real, R, V> sums{};
                        const real* a[R];
#pragma GCC unroll 8
                        for (int r = 0; r < R; ++r) a[r] = unprojected(s, share.piece(first + r));
                        multiply<real, R, V>(sums, a, all_of(call.hidden_size), weights);
                        Vector<real> all[R * V];
                        spill(sums, all);
                        for (int r = 0; r < R; ++r)
                            for (int v = 0; v < V; ++v) {
                                const Index column = outputs.first_column(panel) + v * L;
                                real* to = output(s, share.piece(first + r)) + column;
                                store_up_to<real>(to, all[r * V + v], call.output_size - column);
                            }
                    });
            });
        }
    }

    void give_final_states() {
        for (Index p = share.member; p < plan.pieces; p += share.members) {
            const Index last = plan.length_of(p) - 1;
            std::memcpy(
                direction.final_hidden + p * call.output_size, hidden_before(last + 1, p),
                call.output_size * sizeof(real));
            if (Cell::has_cell)
                std::memcpy(
                    direction.final_cell + p * call.hidden_size,
                    last >= 0 ? cell(last, p) : direction.initial_cell + p * call.hidden_size,
                    call.hidden_size * sizeof(real));
        }
    }
};

template <class Cell, class Numbers>
Index forward_scratch(const Call<typename Cell::real>& call) {
    Arena arena{nullptr};
    ForwardScratch<Cell, Numbers> scratch(call, arena);
    return arena.used;
}

// Which part of a call is done: packing, running with what was packed, or both.
enum class Part { pack, run, both };

template <class Cell, class Numbers>
void forward(const Call<typename Cell::real>& call, char* block, Part part) {
    using real = typename Cell::real;
    Arena arena{block};
    const ForwardScratch<Cell, Numbers> scratch(call, arena);
    struct Work {
        const Call<real>& call;
        const ForwardScratch<Cell, Numbers>& scratch;
        const Part part;
        Barrier barriers[2];
    } work{call, scratch, part, {}};
    in_parallel(
        threads_for(call, 1),
        [](void* what, int member, int members) {
            Work& work = *static_cast<Work*>(what);
            const Groups groups(member, members, work.call.directions, work.call.plan.pieces, work.barriers);
            const bool is_short =
                !Numbers::rounds && work.part == Part::both && work.call.plan.real_steps() <= SHORT_CALL;
            for (int i = 0; i < groups.directions_here; ++i) {
                Forward<Cell, Numbers> direction(
                    work.call, groups.first_direction + i, work.scratch, groups.share, is_short);
                if (work.part != Part::run) direction.pack();
                if (work.part != Part::pack) direction.run();
            }
        },
        &work);
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
