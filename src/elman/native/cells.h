// THE CELLS: what happens to the sums of one block of units, forward and backward. Equations: elman/cells.py.
//
// A block is as many units as a register has lanes. A packed row of `saved` holds `slots` vectors for each block:
//
//     LSTM  input, forget, candidate, output gate
//     GRU   candidate, reset, update, and the hidden part of the candidate's sum (which the reset gate scales)
//     RNN   the sum
//
// Before `step` a slot holds what comes from the input and the biases, after it the gate, and after `back` the
// gradient of the gate's sum. Input weights act on the slots from `input_slot` on, hidden weights on those from
// `hidden_slot` on, `gates` of each: the GRU's order makes both stretches without a gap.
//
// `step(sums, slots, state, keep)` returns the new hidden state; `state` is the LSTM's cell, or the GRU's
// old hidden state; gates go to the slots if `keep`.
// `back(slots, d, carry, now, before)` takes d, the gradient of the hidden state, and leaves in `carry` what goes
// to the step before by another way than the hidden weights: the gradient of the LSTM's cell, or of the GRU's
// old hidden state. `now` and `before` are the LSTM's cell after and before the step, else the hidden state.
#pragma once

#include "call.h"
#include "vector.h"

namespace elman {
namespace ELMAN_VARIANT {

template <class Real>
struct LstmCell {
    using real = Real;
    using V = Vector<real>;
    static constexpr int gates = 4, slots = 4, input_slot = 0, hidden_slot = 0;
    static constexpr bool has_cell = true, keeps_gates = true, carries = true;
    static constexpr int torch_gate(int slot) { return slot; }

    static ELMAN_INLINE V step(const V* sums, real* slots, V& cell, bool keep) {
        constexpr int L = Lanes<real>::count;
        const V i = sigmoid<real>(sums[0]), f = sigmoid<real>(sums[1]);
        const V g = tanh_of<real>(sums[2]), o = sigmoid<real>(sums[3]);
        cell = f * cell + i * g;
        if (keep) {
            store<real>(slots, i);
            store<real>(slots + L, f);
            store<real>(slots + 2 * L, g);
            store<real>(slots + 3 * L, o);
        }
        return o * tanh_of<real>(cell);
    }

    static ELMAN_INLINE void back(real* slots, V d, V& carry, V now, V before) {
        constexpr int L = Lanes<real>::count;
        const V i = load(slots), f = load(slots + L), g = load(slots + 2 * L), o = load(slots + 3 * L);
        const V squashed = tanh_of<real>(now);
        const V d_cell = carry + d * o * (real(1) - squashed * squashed);
        store<real>(slots, d_cell * g * i * (real(1) - i));
        store<real>(slots + L, d_cell * before * f * (real(1) - f));
        store<real>(slots + 2 * L, d_cell * i * (real(1) - g * g));
        store<real>(slots + 3 * L, d * squashed * o * (real(1) - o));
        carry = d_cell * f;
    }
};

template <class Real>
struct GruCell {
    using real = Real;
    using V = Vector<real>;
    static constexpr int gates = 3, slots = 4, input_slot = 0, hidden_slot = 1;
    static constexpr bool has_cell = false, keeps_gates = true, carries = true;
    static constexpr int torch_gate(int slot) { return slot == 0 || slot == 3 ? 2 : slot - 1; }

    static ELMAN_INLINE V step(const V* sums, real* slots, V& hidden, bool keep) {
        constexpr int L = Lanes<real>::count;
        const V r = sigmoid<real>(sums[0]), z = sigmoid<real>(sums[1]);
        const V n = tanh_of<real>(load(slots) + r * sums[2]);
        if (keep) {
            store<real>(slots, n);
            store<real>(slots + L, r);
            store<real>(slots + 2 * L, z);
            store<real>(slots + 3 * L, sums[2]);
        }
        return (real(1) - z) * n + z * hidden;
    }

    static ELMAN_INLINE void back(real* slots, V d, V& carry, V, V before) {
        constexpr int L = Lanes<real>::count;
        const V n = load(slots), r = load(slots + L), z = load(slots + 2 * L), from_hidden = load(slots + 3 * L);
        const V d_n = d * (real(1) - z) * (real(1) - n * n);
        store<real>(slots, d_n);
        store<real>(slots + L, d_n * from_hidden * r * (real(1) - r));
        store<real>(slots + 2 * L, d * (before - n) * z * (real(1) - z));
        store<real>(slots + 3 * L, d_n * r);
        carry = d * z;
    }
};

template <class Real, bool relu>
struct RnnCell {
    using real = Real;
    using V = Vector<real>;
    static constexpr int gates = 1, slots = 1, input_slot = 0, hidden_slot = 0;
    static constexpr bool has_cell = false, keeps_gates = false, carries = false;
    static constexpr int torch_gate(int) { return 0; }

    static ELMAN_INLINE V step(const V* sums, real*, V&, bool) {
        return relu ? relu_of<real>(sums[0]) : tanh_of<real>(sums[0]);
    }

    static ELMAN_INLINE void back(real* slots, V d, V&, V now, V) {
        const V slope = relu ? (now > V{} ? splat(real(1)) : V{}) : real(1) - now * now;
        store<real>(slots, d * slope);
    }
};

}  // namespace ELMAN_VARIANT
}  // namespace elman
