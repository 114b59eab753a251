// PNG and animated PNG: the chunks are read here, and libpng is given the pixels of one frame.
//
// What is beside the pixels (texts, profiles, checksums of both) can be damaged or large without harm to them.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

MaybeOpened open_png(std::string_view content);

}  // namespace mghft
