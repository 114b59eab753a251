// What every decoder hands over: the size, the frames, and how one of them is read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "pixels.hpp"

namespace mghft {

// A file whose header was read and whose pixels were not. It refers to the content that it was opened with.
struct Opened {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    // One frame by its number, RGB or RGBA, not yet turned; empty where the content is damaged.
    std::function<std::optional<Pixels>(std::size_t)> read;
    std::size_t frames = 1;
    // How many pixels are decoded on the way to a frame; by default every frame is a whole one.
    std::function<std::uint64_t(std::size_t)> cost = {};
    int orientation = 1;  // as EXIF counts them, 1 to 8
    std::string profile;  // the ICC profile of RGB colours; what knows no RGB applies its own
};

// Empty where the content is damaged.
using MaybeOpened = std::optional<Opened>;

}  // namespace mghft
