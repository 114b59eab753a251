// BMP of Windows and OS/2, with 1 to 32 bits a pixel, also run-length coded.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

MaybeOpened open_bmp(std::string_view content);

}  // namespace mghft
