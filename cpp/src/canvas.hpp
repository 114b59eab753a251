// Frames of an animation are drawn onto a canvas as a browser draws them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "pixels.hpp"

namespace mghft {

enum class Dispose { kKeep, kClear, kRestore };

// Where a frame is drawn, how, and what happens to the place before the next one.
struct Area {
    std::uint32_t x = 0, y = 0, width = 0, height = 0;
    Dispose dispose = Dispose::kKeep;
    bool replaces = false;  // its pixels replace those below; else they are laid over them
};

// How many pixels are decoded and drawn on the way to a frame.
std::uint64_t pixels_to(const std::vector<Area>& areas, std::size_t index, std::uint32_t width, std::uint32_t height);

// The canvas, RGBA, once frame `index` is drawn; `read` gives a frame's own pixels, RGB or RGBA. Empty where one of them is
// damaged.
std::optional<Pixels> composed(const std::vector<Area>& areas, std::size_t index, std::uint32_t width,
                               std::uint32_t height, const std::function<std::optional<Pixels>(std::size_t)>& read);

}  // namespace mghft
