// Converts UTF-8 to code points and back.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mghft {

// Appends the code points of a text. If the text is not valid UTF-8, appends nothing and returns false.
bool decode_utf8(std::string_view text, std::u32string& code_points);

// The number of bytes of a code point in UTF-8.
constexpr std::size_t utf8_size(char32_t code) {
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

// Appends one code point as UTF-8.
void append_utf8(char32_t code, std::string& text);

}  // namespace mghft
