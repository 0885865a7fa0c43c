// THE BINDING: Python's numbers in, a Call out; which variant runs; where scratch memory comes from.
//
// Tensors arrive as integers (addresses, strides), which costs a twentieth of handing over tensors. The caller,
// elman/kernels/cpu.py or step.py, holds the tensors, and has checked every shape.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "team.h"
#include "variants.h"

namespace nb = nanobind;

namespace elman {
namespace {

std::vector<const Variant*> find_variants() {
    std::vector<const Variant*> found;
#if defined(ELMAN_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        found.push_back(&avx512::variant);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&avx2::variant);
#endif
    found.push_back(&portable::variant);
    return found;
}

// Kernels that round factors to bfloat16; null where the machine has no such instructions.
const Kernels<float>* find_rounded() {
#if defined(ELMAN_X86)
    if (__builtin_cpu_supports("avx512bf16") && find_variants().front() == &avx512::variant)
        return &avx512_bf16::kernels;
#endif
    return nullptr;
}

const std::vector<const Variant*> variants = find_variants();
const Kernels<float>* const rounded = find_rounded();
const Variant* chosen = variants.front();

// Scratch memory is kept for the next call: fresh memory costs a page fault every 4 KB, a tenth of a training step.
class ScratchPool {
    struct Block {
        char* data;
        std::size_t bytes;
    };
    std::mutex mutex;
    std::vector<Block> free_blocks;
#if defined(__SANITIZE_ADDRESS__)
    static constexpr bool keeps = false;  // what is kept cannot be told from what is used
#else
    static constexpr bool keeps = true;
#endif
    std::size_t kept = 0;
    static constexpr std::size_t most_blocks = keeps ? 8 : 0, most_kept = std::size_t(256) << 20, page = 2 << 20;

  public:
    class Loan {
        ScratchPool& pool;
        Block block;

      public:
        Loan(ScratchPool& pool, Block block) : pool(pool), block(block) {}
        Loan(const Loan&) = delete;
        ~Loan() { pool.give_back(block); }
        char* data() const { return block.data; }
    };

    Loan lend(std::size_t bytes) { return Loan(*this, find(bytes)); }

  private:
    Block find(std::size_t bytes) {
        {
            const std::lock_guard<std::mutex> guard(mutex);
            for (std::size_t i = 0; i < free_blocks.size(); ++i)
                if (free_blocks[i].bytes >= bytes) {
                    const Block block = free_blocks[i];
                    kept -= block.bytes;
                    free_blocks.erase(free_blocks.begin() + static_cast<std::ptrdiff_t>(i));
                    return block;
                }
        }
        const std::size_t unit = bytes < page ? 4096 : page, size = keeps ? (bytes + unit - 1) / unit * unit : bytes;
        void* data = nullptr;
        if (posix_memalign(&data, unit, size) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        if (unit == page) madvise(data, size, MADV_HUGEPAGE);
#endif
        return {static_cast<char*>(data), size};
    }

    void give_back(Block block) {
        const std::lock_guard<std::mutex> guard(mutex);
        free_blocks.push_back(block);
        kept += block.bytes;
        // The oldest go first, until few are kept, and little.
        while (free_blocks.size() > most_blocks || kept > most_kept) {
            kept -= free_blocks.front().bytes;
            free(free_blocks.front().data);
            free_blocks.erase(free_blocks.begin());
        }
    }
};
ScratchPool pool;

// Reads the integers of a tuple, in the order of the fields below.
class Reader {
    PyObject* items;
    Py_ssize_t next = 0;

  public:
    explicit Reader(nb::handle tuple) : items(tuple.ptr()) {}
    Index number() {
        const Index value = PyLong_AsLongLong(PyTuple_GetItem(items, next++));
        if (value == -1 && PyErr_Occurred()) throw nb::python_error();
        return value;
    }
    template <class T>
    T* pointer() {
        return reinterpret_cast<T*>(number());
    }
    template <class T>
    Tensor<T> tensor() {
        Tensor<T> value;
        value.data = pointer<T>();
        value.row_stride = number();
        value.step_stride = number();
        value.packed = number() != 0;
        return value;
    }
};

template <class real>
Direction<real> read_direction(Reader& from) {
    Direction<real> d;
    d.weight_ih = from.pointer<const real>();
    d.weight_hh = from.pointer<const real>();
    d.bias_ih = from.pointer<const real>();
    d.bias_hh = from.pointer<const real>();
    d.weight_hr = from.pointer<const real>();
    d.initial_hidden = from.pointer<const real>();
    d.initial_cell = from.pointer<const real>();
    d.final_hidden = from.pointer<real>();
    d.final_cell = from.pointer<real>();
    d.saved = from.pointer<real>();
    d.d_final_hidden = from.pointer<const real>();
    d.d_final_cell = from.pointer<const real>();
    d.d_initial_hidden = from.pointer<real>();
    d.d_initial_cell = from.pointer<real>();
    d.d_weight_ih = from.pointer<real>();
    d.d_weight_hh = from.pointer<real>();
    d.d_bias_ih = from.pointer<real>();
    d.d_bias_hh = from.pointer<real>();
    d.d_weight_hr = from.pointer<real>();
    return d;
}

// The fields of the tuple: see `fields_of` in elman/kernels/call.py, which writes them.
template <class real>
Call<real> read_call(Reader& from, std::vector<Index>& offsets) {
    Call<real> call;
    call.mode = static_cast<Mode>(from.number());
    call.input_size = from.number();
    call.hidden_size = from.number();
    call.output_size = from.number();
    call.directions = static_cast<int>(from.number());
    call.threads = static_cast<int>(from.number());
    call.training = from.number() != 0;
    call.plan.pieces = from.number();
    call.plan.steps = from.number();
    call.plan.offset = from.pointer<const Index>();
    call.plan.row = from.pointer<const Index>();
    call.plan.start = from.pointer<const Index>();
    call.plan.length = from.pointer<const Index>();
    call.input = from.tensor<const real>();
    call.output = from.tensor<real>();
    call.d_output = from.tensor<const real>();
    call.d_input = from.tensor<real>();
    call.tokens = from.tensor<const Index>();
    for (int d = 0; d < call.directions; ++d) call.direction[d] = read_direction<real>(from);
    if (!call.plan.offset) {  // all pieces are of one length
        offsets.resize(static_cast<std::size_t>(call.plan.steps) + 1);
        for (Index s = 0; s <= call.plan.steps; ++s) offsets[static_cast<std::size_t>(s)] = s * call.plan.pieces;
        call.plan.offset = offsets.data();
    }
    return call;
}

enum class Task { saved_numbers, forward, backward };

template <class real>
Index run(Task task, const Kernels<real>& kernels, nb::handle fields) {
    thread_local std::vector<Index> offsets;
    Reader reader(fields);
    const Call<real> call = read_call<real>(reader, offsets);
    if (task == Task::saved_numbers) return kernels.saved_numbers(call);
    const bool is_forward = task == Task::forward;
    const Index bytes = (is_forward ? kernels.forward_scratch : kernels.backward_scratch)(call);
    const auto scratch = pool.lend(static_cast<std::size_t>(bytes));
    nb::gil_scoped_release release;
    (is_forward ? kernels.forward : kernels.backward)(call, scratch.data());
    return 0;
}

Index dispatch(Task task, bool is_double, nb::handle fields) {
    return is_double ? run(task, chosen->in_double, fields) : run(task, chosen->in_float, fields);
}

// One step of a stack of layers, of a fixed number of rows, with weights packed when it is made: nothing is allocated
// later, and all layers are one call. The states are tensors of the caller's, read and written in place.
class Stepper {
    bool is_double;
    const Variant* variant = chosen;
    const Kernels<float>* in_float;
    std::vector<Call<float>> floats;
    std::vector<Call<double>> doubles;
    std::vector<std::vector<Index>> offsets;
    std::vector<char*> scratch;

  public:
    Stepper(bool is_double, bool rounds, const nb::list& layers)
        : is_double(is_double), in_float(rounds ? rounded : &variant->in_float), offsets(nb::len(layers)) {
        if (!in_float) throw std::invalid_argument("this machine does not multiply in bfloat16");
        for (std::size_t i = 0; i < offsets.size(); ++i)
            if (is_double)
                add(doubles, variant->in_double, layers[i], offsets[i]);
            else
                add(floats, *in_float, layers[i], offsets[i]);
    }
    Stepper(const Stepper&) = delete;
    ~Stepper() {
        for (char* block : scratch) free(block);
    }

    // Take a step: from the first layer's input [N, I] to the last one's output [N, P].
    void step(Index input, Index output) {
        if (is_double)
            run(doubles, variant->in_double, input, output);
        else
            run(floats, *in_float, input, output);
    }

  private:
    template <class real>
    void add(std::vector<Call<real>>& calls, const Kernels<real>& kernels, nb::handle fields, std::vector<Index>& own) {
        Reader reader(fields);
        calls.push_back(read_call<real>(reader, own));
        void* block = nullptr;
        if (posix_memalign(&block, 4096, static_cast<std::size_t>(kernels.forward_scratch(calls.back())) + 4096) != 0)
            throw std::bad_alloc();
        scratch.push_back(static_cast<char*>(block));
        kernels.pack(calls.back(), scratch.back());
    }

    template <class real>
    void run(std::vector<Call<real>>& calls, const Kernels<real>& kernels, Index input, Index output) {
        calls.front().input.data = reinterpret_cast<const real*>(input);
        calls.back().output.data = reinterpret_cast<real*>(output);
        for (std::size_t i = 0; i < calls.size(); ++i) kernels.run(calls[i], scratch[i]);
    }
};

// The most float32 operations a second, in GF/s, that `threads` threads reach together: the best of some tries.
double peak(int threads) {
    double best = 0;
    for (int tries = 0; tries < 12; ++tries) {
        struct Work {
            double operations[256];
            int members;
        } work{};
        const auto start = std::chrono::steady_clock::now();
        in_parallel(
            threads < 256 ? threads : 256,
            [](void* what, int member, int members) {
                Work& work = *static_cast<Work*>(what);
                work.operations[member] = chosen->busy(400000);
                if (member == 0) work.members = members;
            },
            &work);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        double total = 0;
        for (int member = 0; member < work.members; ++member) total += work.operations[member];
        const double rate = total / seconds.count() / 1e9;
        best = rate > best ? rate : best;
    }
    return best;
}

}  // namespace
}  // namespace elman

NB_MODULE(_native, module) {
    using namespace elman;
    module.def("find_pool", [](const std::string& library) { return find_pool(library.c_str()); });
    module.def("variants", [] {
        std::vector<std::string> names;
        for (const Variant* variant : variants) names.emplace_back(variant->name);
        return names;
    });
    module.def("variant", [] { return std::string(chosen->name); });
    module.def("vector_bytes", [] { return chosen->vector_bytes; });
    module.def("choose", [](const std::string& name) {
        for (const Variant* variant : variants)
            if (name == variant->name) {
                chosen = variant;
                return;
            }
        throw std::invalid_argument("this machine cannot run the instruction set " + name);
    });
    nb::class_<Stepper>(module, "Stepper")
        .def(nb::init<bool, bool, nb::list>())
        .def("step", &Stepper::step);
    module.def("peak", [](int threads) { return peak(threads); });
    module.def("saved_numbers", [](bool is_double, nb::tuple fields) {
        return dispatch(Task::saved_numbers, is_double, fields);
    });
    module.def("forward", [](bool is_double, nb::tuple fields) { dispatch(Task::forward, is_double, fields); });
    module.def("can_round", [] { return rounded != nullptr && chosen == variants.front(); });
    module.def("forward_rounded", [](nb::tuple fields) {
        if (!rounded || chosen != variants.front()) throw std::invalid_argument("this machine does not multiply in bfloat16");
        run(Task::forward, *rounded, fields);
    });
    module.def("backward", [](bool is_double, nb::tuple fields) { dispatch(Task::backward, is_double, fields); });
}
