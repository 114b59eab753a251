// Where this program may keep what it can make again.
#pragma once

#include <filesystem>
#include <optional>

namespace mghft {

// $XDG_CACHE_HOME/mghft-export, by default under ~/.cache, as mghft-export has it; empty where there is no home.
std::optional<std::filesystem::path> cache_folder();

}  // namespace mghft
