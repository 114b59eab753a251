#include "visible.hpp"

#include <array>
#include <cstdio>

#include "utf8.hpp"

namespace mghft {

namespace {

bool is_control(char32_t code) {
    const bool moves_the_cursor = code < 0x20 || (code >= 0x7F && code < 0xA0);
    const bool ends_a_line = code == 0x2028 || code == 0x2029;
    const bool turns_the_direction = code == 0x061C || code == 0x200E || code == 0x200F ||
                                     (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
    return moves_the_cursor || ends_a_line || turns_the_direction;
}

void append_escape(char32_t code, std::string& shown) {
    if (code == '\n' || code == '\r' || code == '\t') {
        shown += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
        return;
    }
    std::array<char, 16> buffer{};
    std::snprintf(buffer.data(), buffer.size(), code < 0x100 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(code));
    shown += buffer.data();
}

}  // namespace

std::string visible(std::string_view text) {
    std::string shown;
    std::u32string code;
    while (!text.empty()) {
        const auto first = static_cast<unsigned char>(text[0]);
        const std::size_t size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        code.clear();
        if (!decode_utf8(text.substr(0, size), code) || code.size() != 1) {
            append_escape(first, shown);
            text.remove_prefix(1);
            continue;
        }
        if (is_control(code[0])) {
            append_escape(code[0], shown);
        } else {
            shown += text.substr(0, size);
        }
        text.remove_prefix(size);
    }
    return shown;
}

}  // namespace mghft
