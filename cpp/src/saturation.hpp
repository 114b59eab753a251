// Warns if this CPU cannot compute an INT8 graph exactly.
#pragma once

#include <optional>
#include <string>

#include "cpu_features.hpp"
#include "manifest.hpp"

namespace mghft {

// One sentence if products of a bundle's INT8 graphs can overflow on a CPU; else empty. The same as in Python's
// mghft_export/evaluation/verification/precision_warning.py.
std::optional<std::string> saturation_warning(const Manifest& manifest, const std::string& precision,
                                              const CpuFeatures& cpu);

}  // namespace mghft
