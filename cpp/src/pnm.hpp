// Portable bitmaps, graymaps and pixmaps: P1 to P6.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

bool is_pnm(std::string_view content);

MaybeOpened open_pnm(std::string_view content);

}  // namespace mghft
