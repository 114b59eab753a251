// What BERT's normaliser and pre-tokeniser know about code points, exactly as `tokenizers` knows it.
//
// No Unicode library gives the same answers: `tokenizers` has categories of Unicode 8, decompositions of a later and
// lower case of the newest Unicode. So the tables are made by asking it (cpp/unicode_tables.py).
#pragma once

#include <string>

namespace mghft::unicode {

bool is_removed(char32_t code);       // by clean_text: controls, formats, private use, U+0000, U+FFFD
bool is_space(char32_t code);         // becomes a space
bool is_mark(char32_t code);          // an accent
bool is_punctuation(char32_t code);   // a token of its own
bool is_ideograph(char32_t code);     // gets spaces around it
bool is_alphanumeric(char32_t code);  // for Python's regular expressions; the underscore is not

// Canonical decomposition (NFD) in place; `scratch` is overwritten.
void decompose(std::u32string& text, std::u32string& scratch);

// The lower case; U+0130 becomes two code points, so the result is appended.
void append_lower(char32_t code, std::u32string& text);

}  // namespace mghft::unicode
