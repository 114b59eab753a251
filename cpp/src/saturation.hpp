// Whether this CPU computes what an INT8 graph says.
#pragma once

#include <optional>
#include <string>

#include "cpu_features.hpp"
#include "manifest.hpp"

namespace mghft {

// One sentence where products of a bundle's INT8 graphs can overflow on a CPU; empty where they cannot. As Python's
// mghft_export/evaluation/verification/precision_warning.py.
std::optional<std::string> saturation_warning(const Manifest& manifest, const std::string& precision,
                                              const CpuFeatures& cpu);

}  // namespace mghft
