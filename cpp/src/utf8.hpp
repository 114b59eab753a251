// UTF-8 to code points and back.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mghft {

// Appends the code points of a text. Returns false, with nothing appended, where the text is not valid UTF-8.
bool decode_utf8(std::string_view text, std::u32string& code_points);

// Appends one code point as UTF-8.
void append_utf8(char32_t code, std::string& text);

}  // namespace mghft
