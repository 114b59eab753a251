// Text features on disk, an .npz as `mghft-export encode-text` writes it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mghft/mghft.hpp"

namespace mghft {

// Throws Error where it is no such file, was made with another text branch, or has features of another width.
TextFeatures load_text_features(const std::string& path, const std::string& text_branch, std::size_t width);

// The same from the content of a file; `name` stands in messages.
TextFeatures parse_text_features(std::string_view content, const std::string& name, const std::string& text_branch,
                                 std::size_t width);

}  // namespace mghft
