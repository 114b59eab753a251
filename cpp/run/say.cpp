#include "say.hpp"

#include <iostream>

#include "visible.hpp"

namespace mghft::run {

void say(const char* kind, std::string_view sentence) {
    std::cerr << kind << ": " << visible(sentence) << "\n";
}

}  // namespace mghft::run
