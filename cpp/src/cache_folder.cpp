#include "cache_folder.hpp"

#include <cstdlib>

namespace mghft {

std::optional<std::filesystem::path> cache_folder() {
    const char* base = std::getenv("XDG_CACHE_HOME");
    if (base != nullptr && *base != '\0') return std::filesystem::path(base) / "mghft-export";
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') return std::nullopt;
    return std::filesystem::path(home) / ".cache" / "mghft-export";
}

}  // namespace mghft
