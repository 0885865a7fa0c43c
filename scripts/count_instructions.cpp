// A training step of each cell, without Python, for counting instructions: see scripts/instructions.py.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../src/elman/native/variants.h"

using namespace elman;

// Numbers that look random and are the same everywhere.
static std::vector<float> numbers(Index count, float scale) {
    std::vector<float> made(static_cast<std::size_t>(count));
    std::uint32_t state = 1;
    for (float& value : made) {
        state = state * 1664525u + 1013904223u;
        value = scale * (static_cast<float>(state >> 8) / 16777216.0f - 0.5f);
    }
    return made;
}

int main(int count, char** words) {
    if (count != 2) return std::fprintf(stderr, "usage: count_instructions MODE (0 to 3, see call.h)\n"), 2;
    const int mode = std::atoi(words[1]);
    const Index rows = 8, steps = 12, input_size = 40, hidden_size = 72;
    const Index gates = (mode == LSTM ? 4 : mode == GRU ? 3 : 1) * hidden_size, real_steps = rows * steps;
    std::vector<Index> offset;
    for (Index s = 0; s <= steps; ++s) offset.push_back(s * rows);
    auto weight_ih = numbers(gates * input_size, 0.2f), weight_hh = numbers(gates * hidden_size, 0.2f);
    auto bias = numbers(gates, 0.2f), input = numbers(real_steps * input_size, 2.0f);
    auto state = numbers(rows * hidden_size, 1.0f), d_output = numbers(real_steps * hidden_size, 1.0f);
    std::vector<float> output(real_steps * hidden_size), d_input(input.size()), last(state.size()), last_cell(state.size());
    std::vector<float> d_state(state.size()), d_cell(state.size()), d_ih(weight_ih.size()), d_hh(weight_hh.size());
    std::vector<float> d_bias_ih(bias.size()), d_bias_hh(bias.size());

    Call<float> call{};
    call.mode = static_cast<Mode>(mode);
    call.input_size = input_size;
    call.hidden_size = call.output_size = hidden_size;
    call.directions = call.threads = 1;
    call.training = true;
    call.plan = {rows, steps, offset.data(), nullptr, nullptr, nullptr};
    call.input = {input.data(), input_size, rows * input_size, false};
    call.output = {output.data(), hidden_size, rows * hidden_size, false};
    call.d_output = {d_output.data(), hidden_size, rows * hidden_size, false};
    call.d_input = {d_input.data(), input_size, rows * input_size, false};
    Direction<float>& one = call.direction[0];
    one.weight_ih = weight_ih.data();
    one.weight_hh = weight_hh.data();
    one.bias_ih = one.bias_hh = bias.data();
    one.initial_hidden = one.initial_cell = state.data();
    one.final_hidden = last.data();
    one.final_cell = last_cell.data();
    one.d_initial_hidden = d_state.data();
    one.d_initial_cell = d_cell.data();
    one.d_weight_ih = d_ih.data();
    one.d_weight_hh = d_hh.data();
    one.d_bias_ih = d_bias_ih.data();
    one.d_bias_hh = d_bias_hh.data();

    const Kernels<float>& kernels = avx2::variant.in_float;
    std::vector<float> saved(static_cast<std::size_t>(kernels.saved_numbers(call)));
    one.saved = saved.data();
    const auto block = [](Index bytes) { return static_cast<char*>(std::aligned_alloc(128, (bytes + 127) / 128 * 128)); };
    kernels.forward(call, block(kernels.forward_scratch(call)));
    kernels.backward(call, block(kernels.backward_scratch(call)));
    double sum = 0;
    for (float value : d_hh) sum += value;
    std::printf("%g\n", sum);  // so that nothing is left out
    return sum == sum ? 0 : 1;
}
