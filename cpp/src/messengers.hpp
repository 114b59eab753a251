// Formats of messengers, phones and sites that only Python reads: which one a file is.
#pragma once

#include <string_view>

namespace mghft {

// As it stands in a sentence; empty where the content is none of them.
std::string_view python_format(std::string_view content);

}  // namespace mghft
