// Forward with factors rounded to bfloat16, for processors with AVX512_BF16: see numbers.h.
#include "modes.h"
#include "variants.h"

namespace elman {
namespace ELMAN_VARIANT {

extern const Kernels<float> kernels{
    nullptr,
    forward_scratch_of<Rounded>,
    nullptr,
    forward_of<Rounded, Part::both>,
    forward_of<Rounded, Part::pack>,
    forward_of<Rounded, Part::run>,
    nullptr,
};

}  // namespace ELMAN_VARIANT
}  // namespace elman
