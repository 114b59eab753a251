// Draws the frames of an animation onto a canvas as a browser does.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "pixels.hpp"

namespace mghft {

enum class Dispose { kKeep, kClear, kRestore };

// Where and how a frame is drawn, and what happens to this area before the next frame.
struct Area {
    std::uint32_t x = 0, y = 0, width = 0, height = 0;
    Dispose dispose = Dispose::kKeep;
    bool replaces = false;  // the frame's pixels replace those below; else they are blended over them
};

// The number of pixels that are decoded and drawn on the way to a frame.
std::uint64_t pixels_to(const std::vector<Area>& areas, std::size_t index, std::uint32_t width, std::uint32_t height);

// The canvas, RGBA, once frame `index` is drawn; `read` gives a frame's own pixels, RGB or RGBA. Empty if a frame on
// the way is damaged.
std::optional<Pixels> composed(const std::vector<Area>& areas, std::size_t index, std::uint32_t width,
                               std::uint32_t height, const std::function<std::optional<Pixels>(std::size_t)>& read);

}  // namespace mghft
