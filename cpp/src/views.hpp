// The four views of a sticker's text: intention, style, main role, gesture.
#pragma once

#include <array>
#include <string_view>

namespace mghft {

using Views = std::array<std::string_view, 4>;

// Cuts a text at its markers ("#The sticker's intention", ...), which may come in any order, spacing and case. Each
// view reaches from its marker to the next, stripped. A view without a marker is the whole text.
// Throws Error if the text is empty or not valid UTF-8.
Views split_views(std::string_view text);

// Whether a text has only spaces. Throws Error if it is not valid UTF-8.
bool is_blank(std::string_view text);

// Throws Error if the text has only spaces, or is not valid UTF-8.
void require_text(std::string_view text);

}  // namespace mghft
