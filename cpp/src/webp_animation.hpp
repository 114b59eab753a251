// The first frame of an animated WebP, through libwebp's own demuxer: OpenCV reads them from 4.11 on only.
#pragma once

#include <optional>
#include <string_view>

#include "pixels.hpp"

namespace mghft {

// RGBA; empty where the content is damaged.
std::optional<Pixels> decode_webp_animation(std::string_view content);

}  // namespace mghft
