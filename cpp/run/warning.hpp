// What mghft-run says of a precision before it runs.
#pragma once

#include <string>

#include "mghft/mghft.hpp"

namespace mghft::run {

// Says on stderr that a precision can overflow on this CPU. Throws Error where the bundle cannot be read.
void warn_of_precision(const std::string& bundle, const Options& options);

}  // namespace mghft::run
