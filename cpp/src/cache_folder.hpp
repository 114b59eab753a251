// The folder for files that this program can make again.
#pragma once

#include <filesystem>
#include <optional>

namespace mghft {

// $XDG_CACHE_HOME/mghft-export, by default under ~/.cache, as in mghft-export; empty if the user has no home folder.
std::optional<std::filesystem::path> cache_folder();

}  // namespace mghft
