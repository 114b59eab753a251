// Hashes of files that were read before, so that a bundle's graphs are hashed once and not at every start.
//
// A file is known again by its path, device, inode, size, and the times of its last change, of content and of inode, to
// the nanosecond: a file that is written to, replaced or touched is hashed again. What changed less than two seconds
// before it was hashed is not remembered, since a second change could bear the same time. Hashes are kept in
// files.txt (own_lines.hpp). mghft-export reads and writes the same file (mghft_export/files/verified_files.py). With
// MGHFT_ALWAYS_HASH=1 in the environment every file is hashed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "files.hpp"

namespace mghft {

// Nanoseconds since 1970.
std::int64_t current_time();

// SHA-256 of a file that is mapped, in hexadecimal.
std::string verified_sha256(const std::filesystem::path& path, const MappedFile& file,
                            std::int64_t now = current_time());

}  // namespace mghft
