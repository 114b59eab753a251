// WebP through libwebp, the first frame of an animation through its demuxer.
#pragma once

#include <optional>
#include <string_view>

#include "image_header.hpp"
#include "pixels.hpp"

namespace mghft {

// RGBA of an animation or where there is an alpha channel, else RGB. Empty where the content is damaged.
std::optional<Pixels> decode_webp(std::string_view content, const ImageHeader& header);

}  // namespace mghft
