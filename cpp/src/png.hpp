// PNG and animated PNG: this file reads the chunks and gives libpng the pixels of one frame.
//
// Damaged or large texts and profiles, or wrong checksums of them, do not affect the pixels.
#pragma once

#include <string_view>

#include "opened.hpp"

namespace mghft {

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

MaybeOpened open_png(std::string_view content);

}  // namespace mghft
