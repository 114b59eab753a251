// Whole files, read with care.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace mghft {

// The content of a regular file. Opening a pipe would wait for ever, so others are refused.
// Throws std::system_error.
std::string read_file(const std::filesystem::path& path);

// Whether a path in a manifest stays inside its folder, links followed.
bool is_inside(const std::filesystem::path& folder, const std::filesystem::path& path);

}  // namespace mghft
