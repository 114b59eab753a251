// The first frame of a GIF, through giflib: OpenCV reads GIF from 4.11 on only.
#pragma once

#include <optional>
#include <string_view>

#include "pixels.hpp"

namespace mghft {

// RGBA where a colour is transparent, else RGB; empty where the content is damaged.
std::optional<Pixels> decode_gif(std::string_view content);

}  // namespace mghft
