#include "saturation.hpp"

namespace mghft {

std::optional<std::string> saturation_warning(const Manifest& manifest, const std::string& precision,
                                              const CpuFeatures& cpu) {
    const auto made = manifest.quantization.find(precision);
    if (precision != "int8" || made == manifest.quantization.end() || made->second.sums_in_16_bits) return {};
    if (!cpu.x86 || cpu.avx512_vnni || cpu.avx_vnni) return {};
    return "int8 of this bundle was made by an earlier version, and its products can overflow on this CPU, which has "
           "no VNNI; make it again with `mghft-export onnx --precision int8`";
}

}  // namespace mghft
