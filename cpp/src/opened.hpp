// The result of opening a file with a decoder: the size, the frames, and a function that reads one of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "pixels.hpp"

namespace mghft {

// A file after reading its header but not its pixels. It refers to the content that it was opened with.
struct Opened {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    // Reads one frame by its number, as RGB or RGBA, not yet turned; empty if the content is damaged.
    std::function<std::optional<Pixels>(std::size_t)> read;
    std::size_t frames = 1;
    // The number of pixels that are decoded on the way to a frame; by default every frame counts as a whole canvas.
    std::function<std::uint64_t(std::size_t)> cost = {};
    int orientation = 1;  // as EXIF counts them, 1 to 8
    std::string profile;  // the ICC profile of RGB colours; a decoder of other colours applies its own
};

// Empty if the content is damaged.
using MaybeOpened = std::optional<Opened>;

}  // namespace mghft
