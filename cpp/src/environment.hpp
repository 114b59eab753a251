// Switches in the environment, which only the user sets; Python reads them by the same rule.
#pragma once

#include <cstdlib>
#include <string_view>

namespace mghft {

// Whether a variable is set, and is neither empty nor 0.
inline bool is_on(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' && std::string_view(value) != "0";
}

}  // namespace mghft
