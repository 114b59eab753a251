#include "views.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>

#include "mghft/mghft.hpp"
#include "unicode.hpp"
#include "utf8.hpp"

namespace mghft {

namespace {

constexpr std::u32string_view kNames[] = {U"intention", U"style", U"main role", U"gesture"};
constexpr std::u32string_view kApostrophes = U"'\u2019\u2018\u02BC\u2032`\u00B4\uFF07";

// The same as Python's str.isspace and \s of its regular expressions.
bool is_space(char32_t code) {
    return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
           (code >= 0x80 && unicode::is_space(code));
}

// The lower case with which Python's re.IGNORECASE compares ASCII letters.
char32_t folded(char32_t code) {
    if (code >= U'A' && code <= U'Z') return code + 32;
    if (code == 0x130 || code == 0x131) return U'i';
    if (code == 0x17F) return U's';
    if (code == 0x212A) return U'k';
    return code;
}

// Matches the few parts of a regular expression that the markers need, from left to right.
class Reader {
  public:
    Reader(std::u32string_view text, std::size_t position) : text_(text), position_(position) {}

    bool word(std::u32string_view letters) {
        for (const char32_t letter : letters) {
            if (position_ == text_.size() || folded(text_[position_]) != letter) return false;
            ++position_;
        }
        return true;
    }
    bool spaces(std::size_t least) {
        const std::size_t start = position_;
        while (position_ < text_.size() && is_space(text_[position_])) ++position_;
        return position_ - start >= least;
    }
    bool apostrophe() {
        if (position_ == text_.size() || kApostrophes.find(text_[position_]) == kApostrophes.npos) return false;
        ++position_;
        return true;
    }
    bool word_ends() const {
        return position_ == text_.size() || (text_[position_] != U'_' && !unicode::is_alphanumeric(text_[position_]));
    }

  private:
    std::u32string_view text_;
    std::size_t position_;
};

// The view of the marker that starts at `position`, if any.
std::optional<std::size_t> marker_at(std::u32string_view text, std::size_t position) {
    Reader start(text, position);
    if (!(start.word(U"#") && start.spaces(0) && start.word(U"the") && start.spaces(1) && start.word(U"sticker") &&
          start.spaces(0) && start.apostrophe() && start.spaces(0) && start.word(U"s") && start.spaces(1))) {
        return std::nullopt;
    }
    for (std::size_t view = 0; view < 4; ++view) {
        Reader reader = start;
        const std::u32string_view name = kNames[view];
        const std::size_t gap = name.find(U' ');
        const bool found = gap == name.npos ? reader.word(name)
                                            : reader.word(name.substr(0, gap)) && reader.spaces(1) &&
                                                  reader.word(name.substr(gap + 1));
        if (found && reader.word_ends()) return view;
    }
    return std::nullopt;
}

// The code points of a text; valid until the next call in this thread.
const std::u32string& decoded(std::string_view text) {
    thread_local std::u32string code_points;  // kept, so that a hot path does not allocate
    code_points.clear();
    if (!decode_utf8(text, code_points)) throw Error("a text is not valid UTF-8; save it again as UTF-8");
    return code_points;
}

// The same for a text that must not be blank.
const std::u32string& read_text(std::string_view text) {
    if (is_blank(text)) throw Error("the sticker's text is empty; describe the sticker or use the interpreter");
    return decoded(text);
}

// Where a code point starts in the UTF-8 text.
std::size_t offset_of(const std::u32string& code_points, std::size_t position) {
    return std::accumulate(code_points.begin(), code_points.begin() + std::ptrdiff_t(position), std::size_t{0},
                           [](std::size_t sum, char32_t code) { return sum + utf8_size(code); });
}

}  // namespace

bool is_blank(std::string_view text) {
    const std::u32string& code_points = decoded(text);
    return std::all_of(code_points.begin(), code_points.end(), is_space);
}

void require_text(std::string_view text) {
    read_text(text);
}

Views split_views(std::string_view text) {
    const std::u32string& code_points = read_text(text);
    std::array<std::optional<std::size_t>, 4> starts;
    for (std::size_t position = 0; position < code_points.size(); ++position) {
        if (code_points[position] != U'#') continue;
        const auto view = marker_at(code_points, position);
        if (view && !starts[*view]) starts[*view] = position;
    }
    Views views{text, text, text, text};
    for (std::size_t view = 0; view < 4; ++view) {
        if (!starts[view]) continue;
        std::size_t start = *starts[view], end = code_points.size();
        for (const auto& other : starts) {
            if (other && *other > start) end = std::min(end, *other);
        }
        while (end > start && is_space(code_points[end - 1])) --end;
        const std::size_t from = offset_of(code_points, start);
        views[view] = text.substr(from, offset_of(code_points, end) - from);
    }
    return views;
}

}  // namespace mghft
