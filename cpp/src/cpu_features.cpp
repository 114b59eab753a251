#include "cpu_features.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

namespace mghft {

CpuFeatures cpu_features() {
    CpuFeatures found;
#if defined(__x86_64__) || defined(__i386__)
    found.x86 = true;
    unsigned most = 0, eax = 0, ebx = 0, ecx = 0, edx = 0;
    // Leaf 7 of CPUID; its part 0 begins with the number of its last part.
    if (__get_cpuid_count(7, 0, &most, &ebx, &ecx, &edx) == 0) return found;
    found.avx512_vnni = (ecx >> 11 & 1) != 0;
    if (most >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) found.avx_vnni = (eax >> 4 & 1) != 0;
#endif
    return found;
}

}  // namespace mghft
