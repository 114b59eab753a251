#include "pixels.hpp"

#include <cstring>
#include <utility>

namespace mghft {

Pixels oriented(Pixels pixels, int orientation) {
    if (orientation <= 1 || orientation > 8) return pixels;
    const bool transposed = orientation >= 5;
    const bool mirrored_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool mirrored_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Pixels turned(transposed ? pixels.height : pixels.width, transposed ? pixels.width : pixels.height,
                  pixels.channels);
    for (int y = 0; y < turned.height; ++y) {
        for (int x = 0; x < turned.width; ++x) {
            int from_x = transposed ? y : x, from_y = transposed ? x : y;
            if (mirrored_x) from_x = pixels.width - 1 - from_x;
            if (mirrored_y) from_y = pixels.height - 1 - from_y;
            std::memcpy(turned.at(x, y), pixels.at(from_x, from_y), std::size_t(pixels.channels));
        }
    }
    return turned;
}

}  // namespace mghft
