// What is shown on a terminal: names and messages of strangers do not command it.
#pragma once

#include <string>
#include <string_view>

namespace mghft {

// A text in which every character can be shown: line ends, escapes and bytes that are no UTF-8 as \n, \x1b, \xff. What is
// printable stays as it is. mghft-export does the same (mghft_export/terminal.py).
std::string visible(std::string_view text);

}  // namespace mghft
