#include "cpu_features.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace mghft {

CpuFeatures cpu_features() {
    CpuFeatures found;
#if defined(__x86_64__) || defined(__i386__)
    found.x86 = true;
    unsigned most = 0, eax = 0, ebx = 0, ecx = 0, edx = 0;
    // Leaf 7 of CPUID; the first number of its part 0 is the number of its last part.
    if (__get_cpuid_count(7, 0, &most, &ebx, &ecx, &edx) == 0) return found;
    found.avx512_vnni = (ecx >> 11 & 1) != 0;
    found.bf16 = (edx >> 22 & 1) != 0;  // AMX
    if (most >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
        found.avx_vnni = (eax >> 4 & 1) != 0;
        found.bf16 = found.bf16 || (eax >> 5 & 1) != 0;  // AVX512_BF16
    }
#elif defined(__aarch64__) && defined(__linux__) && defined(HWCAP2_BF16)
    found.bf16 = (getauxval(AT_HWCAP2) & HWCAP2_BF16) != 0;
#endif
    return found;
}

}  // namespace mghft
