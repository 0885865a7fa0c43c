// MODES: from the number of a mode to the code for its cell, forward.
#pragma once

#include "forward.h"

namespace elman {
namespace ELMAN_VARIANT {

template <class Numbers>
Index forward_scratch_of(const Call<typename Numbers::real>& call) {
    using real = typename Numbers::real;
    switch (call.mode) {
        case LSTM: return forward_scratch<LstmCell<real>, Numbers>(call);
        case GRU: return forward_scratch<GruCell<real>, Numbers>(call);
        default: return forward_scratch<RnnCell<real, false>, Numbers>(call);
    }
}

template <class Numbers, Part part>
void forward_of(const Call<typename Numbers::real>& call, char* scratch) {
    using real = typename Numbers::real;
    switch (call.mode) {
        case LSTM: return forward<LstmCell<real>, Numbers>(call, scratch, part);
        case GRU: return forward<GruCell<real>, Numbers>(call, scratch, part);
        case RNN_RELU: return forward<RnnCell<real, true>, Numbers>(call, scratch, part);
        default: return forward<RnnCell<real, false>, Numbers>(call, scratch, part);
    }
}

}  // namespace ELMAN_VARIANT
}  // namespace elman
