// Files of stickers become pixels.
#pragma once

#include <string>
#include <string_view>

#include "pixels.hpp"

namespace mghft {

// The first frame, upright, RGB or RGBA.
// Throws Error where the content is no PNG, JPEG, WebP or GIF, damaged, cut short or too large; `name` is in the
// message.
Pixels decode_image(std::string_view content, const std::string& name);

// Throws Error where there is no such file, or it is no file of an image.
Pixels open_image(const std::string& path);

}  // namespace mghft
