// The warning of mghft-run about a precision before it runs.
#pragma once

#include <string>

#include "mghft/mghft.hpp"

namespace mghft::run {

// Warns on stderr if a precision can overflow on this CPU. Throws Error if the bundle cannot be read.
void warn_of_precision(const std::string& bundle, const Options& options);

}  // namespace mghft::run
