// PNG through libpng.
#pragma once

#include <optional>
#include <string_view>

#include "image_header.hpp"
#include "pixels.hpp"

namespace mghft {

// RGBA where something can be transparent, else RGB. Empty where the content is damaged.
std::optional<Pixels> decode_png(std::string_view content, const ImageHeader& header);

}  // namespace mghft
