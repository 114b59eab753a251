// AVIF through libavif.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

bool is_avif(std::string_view content);

MaybeOpened open_avif(std::string_view content);

}  // namespace mghft
