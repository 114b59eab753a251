// JPEG through libjpeg.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

MaybeOpened open_jpeg(std::string_view content);

}  // namespace mghft
