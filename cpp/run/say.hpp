// Sentences for people, on standard error.
#pragma once

#include <string_view>

namespace mghft::run {

// "kind: sentence" on one line; what cannot be shown is escaped (visible.hpp).
void say(const char* kind, std::string_view sentence);

}  // namespace mghft::run
