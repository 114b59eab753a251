// The instructions of this CPU that the computed numbers depend on.
#pragma once

namespace mghft {

struct CpuFeatures {
    bool x86 = false;
    // Both sum products of 8-bit numbers in 32 bits. An x86 CPU without them sums pairs in 16 bits, which can saturate.
    bool avx512_vnni = false, avx_vnni = false;
    bool bf16 = false;  // products of bfloat16 numbers: AVX512_BF16, AMX or Arm's BF16
};

CpuFeatures cpu_features();

}  // namespace mghft
