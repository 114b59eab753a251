// WebP: gives libwebp only the chunks that the pixels need, in a container with the right length.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

bool is_webp(std::string_view content);

MaybeOpened open_webp(std::string_view content);

}  // namespace mghft
