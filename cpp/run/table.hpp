// Tables on a terminal.
#pragma once

#include <string>
#include <vector>

namespace mghft::run {

// The first row is the heading; all columns but the first `left` are aligned to the right.
std::string table(std::vector<std::vector<std::string>> rows, std::size_t left);

// A number with this many decimals.
std::string fixed(double value, int decimals);

}  // namespace mghft::run
