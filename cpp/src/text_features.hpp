// Reads text features from an .npz file of `mghft-export encode-text`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mghft/mghft.hpp"

namespace mghft {

// Throws Error if it is not a file of features, was made with another text branch, or has features of another width.
TextFeatures load_text_features(const std::string& path, const std::string& text_branch, std::size_t width);

// The same from the content of a file; messages call it `name`.
TextFeatures parse_text_features(std::string_view content, const std::string& name, const std::string& text_branch,
                                 std::size_t width);

}  // namespace mghft
