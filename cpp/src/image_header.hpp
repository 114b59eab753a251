// What an image file says of itself, read before anything is decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mghft {

enum class ImageFormat { kPng, kJpeg, kWebp, kGif };

struct ImageHeader {
    ImageFormat format = ImageFormat::kPng;
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    int orientation = 1;                            // of EXIF, 1 to 8
    bool animated = false;                          // WebP
    bool complete = true;                           // the file's end is there
    std::optional<std::uint16_t> transparent_grey;  // PNG: the grey value that is transparent
};

// Empty where the content is none of the formats, or has no size.
std::optional<ImageHeader> read_image_header(std::string_view content);

}  // namespace mghft
