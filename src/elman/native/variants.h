// The variants that were compiled; which of them a machine can run is asked when the module is loaded (module.cpp).
#pragma once

#include "call.h"

namespace elman {
namespace portable {
extern const Variant variant;  // what every machine of this kind has: SSE2 on x86-64, NEON on ARM
}
#if defined(ELMAN_X86)
namespace avx2 {
extern const Variant variant;
}
namespace avx512 {
extern const Variant variant;
}
namespace avx512_bf16 {
extern const Kernels<float> kernels;  // forward alone, factors rounded to bfloat16
}
#endif
}  // namespace elman
