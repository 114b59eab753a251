// Sentences for people, on standard error.
#pragma once

#include <string_view>

namespace mghft::run {

// Writes "kind: sentence" on one line; characters that cannot be shown are escaped (visible.hpp).
void say(const char* kind, std::string_view sentence);

}  // namespace mghft::run
