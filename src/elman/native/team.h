// THE TEAM: threads of torch's own OpenMP pool, and a barrier for them.
//
// A second pool beside torch's would fight with it for the cores, so ours is torch's: `find_pool` looks up its
// OpenMP library, already loaded, and work starts through the entry point that compilers use, GOMP_parallel
// (LLVM's library has it too). Without one, or in a forked child (whose pool did not survive), the caller does all.
#pragma once

#include <cstdint>

namespace elman {

// Look the pool up in a loaded library; false if it is not there.
bool find_pool(const char* library);

// Call `work(what, member, members)` on up to `threads` threads, and wait for all.
void in_parallel(int threads, void (*work)(void* what, int member, int members), void* what);

struct Barrier {
    int arrived = 0;
    unsigned phase = 0;
    // Return when `members` threads have called this. It spins, then yields, so that a busy machine is not held up.
    void wait(int members);
};

}  // namespace elman
