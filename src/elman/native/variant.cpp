// One instruction set's kernels: this file is compiled once for each, see CMakeLists.txt.
#include "backward.h"
#include "modes.h"
#include "variants.h"

namespace elman {
namespace ELMAN_VARIANT {
namespace {

template <class real>
Index saved_numbers(const Call<real>& call) {
    switch (call.mode) {
        case LSTM: return Saved<LstmCell<real>>::numbers(call);
        case GRU: return Saved<GruCell<real>>::numbers(call);
        default: return Saved<RnnCell<real, false>>::numbers(call);
    }
}

template <class real>
Index backward_scratch_of(const Call<real>& call) {
    switch (call.mode) {
        case LSTM: return backward_scratch<LstmCell<real>>(call);
        case GRU: return backward_scratch<GruCell<real>>(call);
        default: return backward_scratch<RnnCell<real, false>>(call);
    }
}

template <class real>
void backward_of(const Call<real>& call, char* scratch) {
    switch (call.mode) {
        case LSTM: return backward<LstmCell<real>>(call, scratch);
        case GRU: return backward<GruCell<real>>(call, scratch);
        case RNN_RELU: return backward<RnnCell<real, true>>(call, scratch);
        default: return backward<RnnCell<real, false>>(call, scratch);
    }
}

template <class real>
constexpr Kernels<real> kernels() {
    return {
        saved_numbers<real>,
        forward_scratch_of<Exact<real>>,
        backward_scratch_of<real>,
        forward_of<Exact<real>, Part::both>,
        forward_of<Exact<real>, Part::pack>,
        forward_of<Exact<real>, Part::run>,
        backward_of<real>,
    };
}

// The most that a core can do: chains of multiply-adds that wait for nothing. One in two operations adds.
double busy(Index rounds) {
    Vector<float> sums[SUMS];
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; ++i) sums[i] = splat(1.0f + static_cast<float>(i));
    Vector<float> factor = splat(0.999f), addend = splat(0.001f);
    for (Index round = 0; round < rounds; ++round) {
        asm volatile("" : "+m"(factor), "+m"(addend));  // else the loop could be worked out beforehand
        const Vector<float> f = factor, a = addend;
#pragma GCC unroll 24
        for (int i = 0; i < SUMS; ++i) sums[i] = sums[i] * f + a;
    }
    float total = 0;
#pragma GCC unroll 24
    for (int i = 0; i < SUMS; ++i) total += sum_of<float>(sums[i]);
    volatile float kept = total;
    (void)kept;
    return 2.0 * SUMS * Lanes<float>::count * static_cast<double>(rounds);
}

}  // namespace

#define ELMAN_TEXT(name) #name
#define ELMAN_NAME(name) ELMAN_TEXT(name)
extern const Variant variant{ELMAN_NAME(ELMAN_VARIANT), VECTOR_BYTES, kernels<float>(), kernels<double>(), busy};

}  // namespace ELMAN_VARIANT
}  // namespace elman
