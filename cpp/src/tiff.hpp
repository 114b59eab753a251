// Reads the first page of a TIFF through libtiff.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

bool is_tiff(std::string_view content);

// Throws UnknownRange if the samples are floating-point or have more than 16 bits.
MaybeOpened open_tiff(std::string_view content);

// The samples' values for black and white are not known.
struct UnknownRange {};

}  // namespace mghft
