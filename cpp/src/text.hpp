// Builds a string from parts.
#pragma once

#include <sstream>
#include <string>

namespace mghft {

template <typename... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream stream;
    (stream << ... << parts);
    return stream.str();
}

}  // namespace mghft
