// GIF. Pixels that no frame draws are transparent.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

bool is_gif(std::string_view content);

MaybeOpened open_gif(std::string_view content);

}  // namespace mghft
