#include "utf8.hpp"

namespace mghft {

namespace {

constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // by length; a smaller code point must be written shorter

// The number of bytes of a character that starts with this byte; 0 if no character does.
std::size_t length_of(unsigned char first) {
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first < 0xE0) return 2;
    if (first >= 0xE0 && first < 0xF0) return 3;
    if (first >= 0xF0 && first < 0xF5) return 4;
    return 0;
}

}  // namespace

bool decode_utf8(std::string_view text, std::u32string& code_points) {
    const std::size_t before = code_points.size();
    for (std::size_t position = 0; position < text.size();) {
        const auto first = static_cast<unsigned char>(text[position]);
        const std::size_t length = length_of(first);
        bool valid = length > 0 && position + length <= text.size();
        char32_t code = length < 2 ? first : first & (0x7FU >> length);
        for (std::size_t offset = 1; valid && offset < length; ++offset) {
            const auto next = static_cast<unsigned char>(text[position + offset]);
            valid = (next & 0xC0) == 0x80;
            code = code << 6 | (next & 0x3FU);
        }
        if (!valid || code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
            code_points.resize(before);
            return false;
        }
        code_points.push_back(code);
        position += length;
    }
    return true;
}

void append_utf8(char32_t code, std::string& text) {
    const auto add = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        add(code);
    } else if (code < 0x800) {
        add(0xC0 | code >> 6);
        add(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        add(0xE0 | code >> 12);
        add(0x80 | (code >> 6 & 0x3F));
        add(0x80 | (code & 0x3F));
    } else {
        add(0xF0 | code >> 18);
        add(0x80 | (code >> 12 & 0x3F));
        add(0x80 | (code >> 6 & 0x3F));
        add(0x80 | (code & 0x3F));
    }
}

}  // namespace mghft
