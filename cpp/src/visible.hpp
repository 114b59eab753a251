// Makes names and messages of strangers safe to show, so that they cannot control the terminal.
#pragma once

#include <string>
#include <string_view>

namespace mghft {

// The text with line ends, escapes and bytes that are not UTF-8 written as \n, \x1b, \xff; printable characters stay as
// they are. mghft-export does the same (mghft_export/terminal.py).
std::string visible(std::string_view text);

}  // namespace mghft
