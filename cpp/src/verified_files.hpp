// Remembers the hashes of files, so that a bundle's graphs are hashed once and not at every start.
//
// A file is recognised by its path, device, inode, size, and the times of the last changes of its content and its
// inode, to the nanosecond. A file that is written to, replaced or touched is hashed again. A hash is not remembered if
// the file changed less than two seconds before, because a second change could have the same time. Hashes are stored in
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

// The SHA-256 of a mapped file, in hexadecimal.
std::string verified_sha256(const std::filesystem::path& path, const MappedFile& file,
                            std::int64_t now = current_time());

}  // namespace mghft
