// Switches in the environment, which the user alone sets; Python reads them by the same rule.
#pragma once

#include <cstdlib>
#include <string_view>

namespace mghft {

// Whether a variable is set to anything but nothing and 0.
inline bool is_on(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

}  // namespace mghft
