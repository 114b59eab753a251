// JPEG through libjpeg.
#pragma once

#include <optional>
#include <string_view>

#include "image_header.hpp"
#include "pixels.hpp"

namespace mghft {

// RGB. Empty where the content is damaged.
std::optional<Pixels> decode_jpeg(std::string_view content, const ImageHeader& header);

}  // namespace mghft
