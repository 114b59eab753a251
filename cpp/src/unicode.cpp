#include "unicode.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace mghft::unicode {

namespace {

struct Range {
    char32_t first, last;
};

// Every `step`-th code point from first to last has its lower case at this distance.
struct LowerRun {
    char32_t first, last, step;
    std::int32_t distance;
};

struct Decomposition {
    char32_t code;
    char32_t parts[4];  // 0 after the last one
};

struct CombiningClass {
    char32_t code;
    std::uint8_t order;
};

#include "unicode_tables.inc"

template <std::size_t count>
bool holds(const Range (&ranges)[count], char32_t code) {
    const Range* found = std::upper_bound(std::begin(ranges), std::end(ranges), code,
                                          [](char32_t value, const Range& range) { return value < range.first; });
    return found != std::begin(ranges) && code <= std::prev(found)->last;
}

template <typename Row, std::size_t count>
const Row* find(const Row (&rows)[count], char32_t code) {
    const Row* found = std::lower_bound(std::begin(rows), std::end(rows), code,
                                        [](const Row& row, char32_t value) { return row.code < value; });
    return found != std::end(rows) && found->code == code ? found : nullptr;
}

constexpr char32_t kHangulFirst = 0xAC00, kHangulCount = 11172;
constexpr char32_t kLeading = 0x1100, kVowel = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kVowelCount = 21, kTrailingCount = 28;

void append_decomposed(char32_t code, std::u32string& text) {
    if (code < 0xC0) {
        text.push_back(code);
    } else if (code >= kHangulFirst && code < kHangulFirst + kHangulCount) {
        const char32_t number = code - kHangulFirst;
        text.push_back(kLeading + number / (kVowelCount * kTrailingCount));
        text.push_back(kVowel + number / kTrailingCount % kVowelCount);
        if (number % kTrailingCount != 0) text.push_back(kTrailing + number % kTrailingCount);
    } else if (const Decomposition* row = find(kDecompositions, code)) {
        for (const char32_t part : row->parts) {
            if (part != 0) text.push_back(part);
        }
    } else {
        text.push_back(code);
    }
}

std::uint8_t combining_class(char32_t code) {
    if (code < 0x300) return 0;
    const CombiningClass* row = find(kCombiningClasses, code);
    return row == nullptr ? std::uint8_t{0} : row->order;
}

// Sorts the marks between two base characters by their classes. It sorts by insertion, because std::stable_sort
// allocates and there are only two or three marks at a time.
void order_marks(std::u32string& text) {
    std::size_t base = 0;  // the first mark of the current run
    for (std::size_t index = 0; index < text.size(); ++index) {
        const char32_t mark = text[index];
        const std::uint8_t order = combining_class(mark);
        if (order == 0) {
            base = index + 1;
            continue;
        }
        std::size_t place = index;
        while (place > base && combining_class(text[place - 1]) > order) {
            text[place] = text[place - 1];
            --place;
        }
        text[place] = mark;
    }
}

}  // namespace

bool is_removed(char32_t code) {
    return holds(kRemoved, code);
}

bool is_space(char32_t code) {
    return holds(kSpaces, code);
}

bool is_mark(char32_t code) {
    return code >= 0x300 && holds(kMarks, code);
}

bool is_punctuation(char32_t code) {
    return holds(kPunctuation, code);
}

bool is_ideograph(char32_t code) {
    return code >= 0x3400 && holds(kIdeographs, code);
}

bool is_alphanumeric(char32_t code) {
    return holds(kWordCharacters, code);
}

void decompose(std::u32string& text, std::u32string& scratch) {
    scratch.clear();
    for (const char32_t code : text) append_decomposed(code, scratch);
    order_marks(scratch);
    text.swap(scratch);
}

void append_lower(char32_t code, std::u32string& text) {
    if (code < 0x80) {
        text.push_back(code >= U'A' && code <= U'Z' ? code + 32 : code);
        return;
    }
    if (code == 0x130) {
        text.push_back(U'i');
        text.push_back(0x307);
        return;
    }
    const LowerRun* found = std::upper_bound(std::begin(kLower), std::end(kLower), code,
                                             [](char32_t value, const LowerRun& run) { return value < run.first; });
    if (found != std::begin(kLower)) {
        const LowerRun& run = *std::prev(found);
        if (code <= run.last && (code - run.first) % run.step == 0) {
            code = static_cast<char32_t>(static_cast<std::int32_t>(code) + run.distance);
        }
    }
    text.push_back(code);
}

}  // namespace mghft::unicode
