// Decodes files of stickers to pixels. Python follows the same rules (docs/stickers.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "opened.hpp"

namespace mghft {

// Most bytes of a file that is read: a bitmap of kMostPixels has half as many bytes.
constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;

// Most pixels that are decoded on the way to a frame, unless a caller sets fewer: 8,192 frames of 512 x 512.
constexpr std::uint64_t kMostAnimationPixels = std::uint64_t{1} << 31;

// Finds out the format by the first bytes and reads the header. The result refers to the content.
// Throws Error if the content is of no known format, damaged or too large; the message calls it `name`.
Opened open_content(std::string_view content, const std::string& name,
                    std::uint64_t max_pixels = kMostAnimationPixels);

// One upright frame in sRGB, as RGB or RGBA. `frame` is "first", "middle" (of n frames number n / 2) or a number from
// 0. All frames on the way to it count for `max_pixels`.
// Throws Error as above, or if the file does not have the frame.
Pixels decode_image(std::string_view content, const std::string& name, const std::string& frame = "middle",
                    std::uint64_t max_pixels = kMostAnimationPixels);

// The same from a file. Throws Error also if the file does not exist.
Pixels open_image(const std::string& path, const std::string& frame = "middle",
                  std::uint64_t max_pixels = kMostAnimationPixels);

}  // namespace mghft
