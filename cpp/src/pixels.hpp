// Decoded pixels with their own memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mghft {

// RGB or RGBA, 8 bits a channel, rows without gaps.
struct Pixels {
    int width = 0;
    int height = 0;
    int channels = 4;
    std::vector<std::uint8_t> values;

    Pixels() = default;
    Pixels(int w, int h, int c)
        : width(w), height(h), channels(c), values(std::size_t(w) * std::size_t(h) * std::size_t(c)) {}

    std::uint8_t* at(int x, int y) {
        return values.data() + (std::size_t(y) * std::size_t(width) + std::size_t(x)) * std::size_t(channels);
    }
    const std::uint8_t* at(int x, int y) const { return const_cast<Pixels*>(this)->at(x, y); }
};

// The pixels turned and mirrored for an EXIF orientation from 1 to 8.
Pixels oriented(Pixels pixels, int orientation);

// Most pixels (width x height) that are decoded: enough for 10,000 x 10,000, and 512 MiB in memory.
constexpr std::size_t kMostPixels = std::size_t{1} << 27;

}  // namespace mghft
