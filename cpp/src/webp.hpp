// WebP: libwebp is given the chunks that pixels need, in a container whose length is right.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

bool is_webp(std::string_view content);

MaybeOpened open_webp(std::string_view content);

}  // namespace mghft
