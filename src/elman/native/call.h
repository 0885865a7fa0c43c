// WHAT IS ASKED: one layer over a batch, in one or two directions. Plain data, the same for all variants.
//
// Sizes: N pieces, S steps of the longest, M real steps of all pieces together, I input features, H hidden,
// P output features (H without projection), G gates times hidden.
//
// A *piece* is a stretch of a row that runs on its own: the whole row, or what lies between two resets. Pieces are
// sorted, longest first, so that those still running at a step are the first ones: the cost follows the sum
// of the lengths. Step s of piece p is row offset[s] + p of every packed buffer.
#pragma once

#include <cstdint>

namespace elman {
using Index = std::int64_t;

enum Mode : int { RNN_TANH = 0, RNN_RELU = 1, GRU = 2, LSTM = 3 };

struct Plan {
    Index pieces, steps;
    const Index* offset;  // [S + 1] packed rows before each step
    const Index* row;     // [N] the row of the batch that a piece is from; null: its own number
    const Index* start;   // [N] the step of the row at which it starts; null: 0
    const Index* length;  // [N] longest first, zero allowed; null: S

    Index active(Index s) const { return s < steps ? offset[s + 1] - offset[s] : 0; }
    Index length_of(Index p) const { return length ? length[p] : steps; }
    Index real_steps() const { return offset[steps]; }
};

// Where the steps of a tensor lie: at `data + row * row_stride + step * step_stride`, counted in numbers; a packed
// tensor (torch's PackedSequence) has step s of piece p at `data + (offset[s] + p) * step_stride`.
template <class number>
struct Tensor {
    number* data;
    Index row_stride, step_stride;
    bool packed;

    number* at(const Plan& plan, Index p, Index t) const {
        if (packed) return data + (plan.offset[t] + p) * step_stride;
        const Index row = plan.row ? plan.row[p] : p, start = plan.start ? plan.start[p] : 0;
        return data + row * row_stride + (start + t) * step_stride;
    }
};

// One direction. Every pointer but the first two may be null where its thing does not exist or is not wanted.
// All are contiguous, in torch's layout; states are in the order of the pieces.
template <class real>
struct Direction {
    const real *weight_ih, *weight_hh;            // [G, I] ([I, G] where tokens are read) [G, P]
    const real *bias_ih, *bias_hh;                // [G]
    const real* weight_hr;                        // [P, H]
    const real *initial_hidden, *initial_cell;    // [N, P] [N, H]
    real *final_hidden, *final_cell;              // forward writes
    real* saved;                                  // saved_numbers(): forward fills it, backward turns it into gradients
    const real *d_final_hidden, *d_final_cell;    // backward reads
    real *d_initial_hidden, *d_initial_cell;      // backward writes these and the rest
    real *d_weight_ih, *d_weight_hh, *d_bias_ih, *d_bias_hh, *d_weight_hr;
};

template <class real>
struct Call {
    Mode mode;
    Index input_size, hidden_size, output_size;
    int directions, threads;
    Plan plan;
    Tensor<const real> input;      // [.., I]
    Tensor<real> output;           // [.., D * P], the second direction's right of the first's; forward writes
    Tensor<const real> d_output;   // null data: no gradient arrives here
    Tensor<real> d_input;          // null data: not wanted
    // Not null: tokens are read, each below I, in place of an input. A token's product with the input weights is its
    // row of weight_ih, which then is a table.
    Tensor<const Index> tokens;
    Direction<real> direction[2];  // the second runs from the end of each piece to its start
    bool training;                 // forward: keep in `saved` what backward needs

    bool projected() const { return direction[0].weight_hr != nullptr; }
    bool reads_tokens() const { return tokens.data != nullptr; }
};

// What a variant offers; see forward.h and backward.h.
template <class real>
struct Kernels {
    Index (*saved_numbers)(const Call<real>&);     // size of one direction's `saved`
    Index (*forward_scratch)(const Call<real>&);   // bytes
    Index (*backward_scratch)(const Call<real>&);  // bytes
    void (*forward)(const Call<real>&, char* scratch);
    void (*pack)(const Call<real>&, char* scratch);            // forward in two parts: `run` may follow `pack` often,
    void (*run)(const Call<real>&, char* scratch);             // with the same sizes, weights and scratch
    void (*backward)(const Call<real>&, char* scratch);
};

struct Variant {
    const char* name;
    int vector_bytes;
    Kernels<float> in_float;
    Kernels<double> in_double;
    // Multiply-adds on one core and in registers alone, for so many rounds; returns how many operations these were.
    double (*busy)(Index rounds);
};

}  // namespace elman
