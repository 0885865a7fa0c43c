#include "team.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

namespace elman {
namespace {

using Start = void (*)(void (*)(void*), void*, unsigned, unsigned);
using Count = int (*)();

struct Pool {
    Start start = nullptr;
    Count member = nullptr, members = nullptr;
};
Pool pool;
bool forked = false;

void mark_forked() { forked = true; }

struct Job {
    void (*work)(void*, int, int);
    void* what;
};

void run_job(void* data) {
    const Job& job = *static_cast<Job*>(data);
    job.work(job.what, pool.member(), pool.members());
}

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

bool find_pool(const char* library) {
    void* handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle) return false;
    Pool found;
    found.start = reinterpret_cast<Start>(dlsym(handle, "GOMP_parallel"));
    found.member = reinterpret_cast<Count>(dlsym(handle, "omp_get_thread_num"));
    found.members = reinterpret_cast<Count>(dlsym(handle, "omp_get_num_threads"));
    if (!found.start || !found.member || !found.members) return false;
    if (!pool.start) pthread_atfork(nullptr, nullptr, mark_forked);
    pool = found;
    return true;
}

void in_parallel(int threads, void (*work)(void*, int, int), void* what) {
    if (threads < 2 || !pool.start || forked) return work(what, 0, 1);
    Job job{work, what};
    pool.start(run_job, &job, static_cast<unsigned>(threads), 0);
}

void Barrier::wait(int members) {
    if (members < 2) return;
    const unsigned now = __atomic_load_n(&phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == members) {
        __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&phase, now + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int turns = 0; __atomic_load_n(&phase, __ATOMIC_ACQUIRE) == now; ++turns) {
        if (turns < 4000)
            pause();
        else
            sched_yield();
    }
}

}  // namespace elman
