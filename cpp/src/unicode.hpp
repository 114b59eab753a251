// The properties of code points that BERT's normaliser and pre-tokeniser use, exactly as in `tokenizers`.
//
// No Unicode library gives the same answers: `tokenizers` has the categories of Unicode 8, the decompositions of a
// later version and the lower case of the newest. So cpp/unicode_tables.py makes the tables by asking `tokenizers`.
#pragma once

#include <string>

namespace mghft::unicode {

bool is_removed(char32_t code);       // clean_text removes it: controls, formats, private use, U+0000, U+FFFD
bool is_space(char32_t code);         // becomes a space
bool is_mark(char32_t code);          // an accent
bool is_punctuation(char32_t code);   // always a separate token
bool is_ideograph(char32_t code);     // gets spaces around it
bool is_alphanumeric(char32_t code);  // for Python's regular expressions, without the underscore

// Canonical decomposition (NFD) in place; `scratch` is overwritten.
void decompose(std::u32string& text, std::u32string& scratch);

// Appends the lower case, which for U+0130 is two code points.
void append_lower(char32_t code, std::u32string& text);

}  // namespace mghft::unicode
