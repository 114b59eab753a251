// The first frame of a GIF, through giflib.
#pragma once

#include <optional>
#include <string_view>

#include "pixels.hpp"

namespace mghft {

// RGBA where a colour is transparent, else RGB; empty where the content is damaged.
std::optional<Pixels> decode_gif(std::string_view content);

}  // namespace mghft
