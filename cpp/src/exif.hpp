// The orientation in EXIF metadata.
#pragma once

#include <string_view>

namespace mghft {

// 1 to 8 from a TIFF block ("II*" or "MM*"); 1 where it says nothing or is damaged.
int exif_orientation(std::string_view tiff);

}  // namespace mghft
