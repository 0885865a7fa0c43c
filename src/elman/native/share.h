// SHARING: which rows and panels a thread of a group does, and where its scratch memory lies.
#pragma once

#include "numbers.h"
#include "team.h"
#include "unpacked.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace elman {
namespace ELMAN_VARIANT {

// Two ways to share one direction over time. By rows: every thread runs its own pieces through all steps and never
// waits. By units: every thread does some panels of all pieces, and all meet after every step.
struct Share {
    int member, members;
    Barrier* barrier;
    bool by_rows;

    Index pieces_of(Index active) const {
        if (!by_rows) return active;
        return active <= member ? 0 : (active - member + members - 1) / members;
    }
    // Of any member: what all of them do together has the same size for each.
    Index most_pieces(Index active) const { return by_rows ? (active + members - 1) / members : active; }
    Index piece(Index i) const { return by_rows ? member + i * members : i; }
    Index first_of(Index panels) const { return by_rows ? 0 : panels * member / members; }
    Index end_of(Index panels) const { return by_rows ? panels : panels * (member + 1) / members; }
    // Packing is always shared; its users must meet first if they use what others packed.
    Index first_to_pack(Index panels) const { return panels * member / members; }
    Index end_to_pack(Index panels) const { return panels * (member + 1) / members; }
    void meet() const { barrier->wait(members); }
    void meet_after_step() const {
        if (!by_rows) barrier->wait(members);
    }
};

// Call `body(m, s, p)` for packed rows m in [first, end): step s of piece p.
template <class Body>
ELMAN_INLINE void for_steps(const Plan& plan, Index first, Index end, const Body& body) {
    Index low = 0, high = plan.steps;
    while (high - low > 1) {
        const Index middle = (low + high) / 2;
        (plan.offset[middle] <= first ? low : high) = middle;
    }
    for (Index m = first, s = low; m < end; ++m) {
        while (plan.offset[s + 1] <= m) ++s;
        body(m, s, m - plan.offset[s]);
    }
}

// Takes aligned pieces off a block of memory; with a null block, only counts. The address sanitizer is told where
// each piece ends.
struct Arena {
    char* block;
    Index used = 0;

    template <class real>
    real* take(Index numbers) {
        real* place = block ? reinterpret_cast<real*>(block + used) : nullptr;
        const Index bytes = numbers * static_cast<Index>(sizeof(real));
        Index size = (bytes + 127) / 128 * 128;
#if defined(__SANITIZE_ADDRESS__)
        size += 128;
        if (block) ASAN_POISON_MEMORY_REGION(block + used + bytes, static_cast<std::size_t>(size - bytes));
#endif
        used += size;
        return place;
    }
};

// Multiply-adds of one product below which another thread costs more than it brings: a start takes 2 to 10 us.
constexpr Index LEAST_WORK = 400000;

// Whether a state is zero, as it mostly is at the start: its products need not be computed.
template <class real>
inline bool is_zero(const real* state, Index numbers) {
    for (Index i = 0; i < numbers; ++i)
        if (state[i] != 0) return false;
    return true;
}

// The same of this thread's pieces: others may be at their end already, and a stepper's states end where they began.
template <class real>
inline bool are_zero(const Share& share, Index pieces, const real* states, Index numbers) {
    for (Index i = 0; i < share.pieces_of(pieces); ++i)
        if (!is_zero(states + share.piece(i) * numbers, numbers)) return false;
    return true;
}

// How many threads a call is worth.
template <class real>
inline int threads_for(const Call<real>& call, Index products) {
    const Index gates = call.mode == LSTM ? 4 : call.mode == GRU ? 3 : 1;
    const Index sources = call.output_size + (call.reads_tokens() ? 0 : call.input_size);
    const Index each = gates * call.hidden_size * sources;
    const Index work = products * each * call.plan.real_steps() * call.directions;
    const Index worth = 1 + work / LEAST_WORK;
    return static_cast<int>(worth < call.threads ? worth : call.threads);
}

// Whether a group of threads shares by rows: when each gets rows enough to use a panel well.
ELMAN_INLINE bool shares_by_rows(Index pieces, int members) { return members == 1 || pieces >= 4 * members; }

// Two directions run at the same time, on a half of the threads each.
struct Groups {
    int first_size, group, directions_here, first_direction;
    Share share;
    Groups(int member, int members, int directions, Index pieces, Barrier* barriers) {
        const bool split = directions == 2 && members > 1;
        first_size = split ? (members + 1) / 2 : members;
        group = member < first_size ? 0 : 1;
        const int size = group == 0 ? first_size : members - first_size;
        share = {group == 0 ? member : member - first_size, size, &barriers[group], shares_by_rows(pieces, size)};
        directions_here = split ? 1 : directions;
        first_direction = split ? group : 0;
    }
};

}  // namespace ELMAN_VARIANT
}  // namespace elman
