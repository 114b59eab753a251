// Still PNG, JPEG and WebP through OpenCV.
#pragma once

#include <optional>
#include <string_view>

#include "image_header.hpp"
#include "pixels.hpp"

namespace mghft {

// Empty where OpenCV cannot decode the content.
std::optional<Pixels> decode_with_opencv(std::string_view content, const ImageHeader& header);

}  // namespace mghft
