// Which instructions this CPU has, as far as numbers hang on them.
#pragma once

namespace mghft {

struct CpuFeatures {
    bool x86 = false;
    // Products of 8-bit numbers are summed in 32 bits; an x86 CPU with neither sums pairs in 16 bits, which saturate.
    bool avx512_vnni = false, avx_vnni = false;
    bool bf16 = false;  // products of bfloat16 numbers: AVX512_BF16, AMX or Arm's BF16
};

CpuFeatures cpu_features();

}  // namespace mghft
