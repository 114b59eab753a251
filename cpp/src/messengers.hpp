// Recognises formats of messengers, phones and web sites that only Python reads.
#pragma once

#include <string_view>

namespace mghft {

// The format's name for a message; empty if the content is none of these formats.
std::string_view python_format(std::string_view content);

}  // namespace mghft
