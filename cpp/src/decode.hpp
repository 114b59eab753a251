// Files of stickers become pixels. docs/stickers.md has the rule that Python follows too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "opened.hpp"

namespace mghft {

// Largest file that is read: a bitmap of kMostPixels has half as many bytes.
constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;

// Most pixels decoded on the way to a frame, unless a caller sets less: 8,192 frames of 512 x 512.
constexpr std::uint64_t kMostAnimationPixels = std::uint64_t{1} << 31;

// What a file is, by its first bytes, of a size that may be decoded; it refers to the content.
// Throws Error where the content is none of the formats, damaged or too large; `name` is in the message.
Opened open_content(std::string_view content, const std::string& name,
                    std::uint64_t max_pixels = kMostAnimationPixels);

// One frame, upright, its colours those of sRGB, RGB or RGBA. `frame` is "first", "middle" (of n frames number n / 2) or a
// number from 0. All frames on the way to it count among the `max_pixels`.
// Throws Error as above, or where the file has no such frame.
Pixels decode_image(std::string_view content, const std::string& name, const std::string& frame = "middle",
                    std::uint64_t max_pixels = kMostAnimationPixels);

// Throws Error where there is no such file, or it is no file of an image.
Pixels open_image(const std::string& path, const std::string& frame = "middle",
                  std::uint64_t max_pixels = kMostAnimationPixels);

}  // namespace mghft
