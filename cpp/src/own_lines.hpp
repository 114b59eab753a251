// Reads and writes lines in a file of the user's cache that nobody else can have written.
//
// The file is used only if it and its folder, $XDG_CACHE_HOME/mghft-export/verified, belong to the user and nobody else
// can write them. mghft-export reads and writes the same files (mghft_export/files/own_lines.py).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mghft {

using Lines = std::vector<std::string>;

// The lines after the first one; none if the file does not exist or cannot be trusted.
Lines read_own_lines(const std::string& name, std::string_view first_line);

// Rewrites a file with changed lines. If that fails, the file stays as it is.
void change_own_lines(const std::string& name, std::string_view first_line, const std::function<void(Lines&)>& change);

}  // namespace mghft
