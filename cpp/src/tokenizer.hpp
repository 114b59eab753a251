// BERT's WordPiece: turns texts into the token ids that `tokenizers` gives with the bundle's tokenizer.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mghft {

class Tokenizer {
  public:
    // Throws Error if the content is not a tokenizer of BERT; the message calls it `name`.
    Tokenizer(const std::string& content, const std::string& name);

    // Writes [CLS] ... [SEP] into `ids`, at most `max_length` ids; the end of a longer text is cut off.
    // Throws Error if the text is not valid UTF-8.
    void encode(std::string_view text, std::size_t max_length, std::vector<std::int64_t>& ids);

    static constexpr std::int64_t kPad = 0;

  private:
    void read(const std::string& content);
    void read_vocabulary(const std::vector<std::pair<std::string, std::uint64_t>>& tokens,
                         const class JsonValue& vocabulary);
    void encode_segment(std::u32string_view segment);
    void normalize(std::u32string_view segment);
    void encode_word(std::u32string_view word);

    using Vocabulary = std::unordered_map<std::string_view, std::int64_t>;

    std::vector<char> letters_;                                   // the letters of all tokens, one after the other
    Vocabulary starts_;                                           // tokens that start a word
    Vocabulary continuations_;                                    // tokens after the prefix "##", without it
    std::size_t longest_ = 0;                                     // bytes of the longest token
    std::size_t longest_word_ = 100;                              // code points; a longer word is unknown
    std::vector<std::pair<std::u32string, std::int64_t>> added_;  // longest first
    std::int64_t first_ = 0, last_ = 0, unknown_ = 0;
    bool spaces_ideographs_ = true, strips_accents_ = true, lowers_ = true;

    // Kept between calls, so that a call allocates nothing after a call with a text as long.
    std::u32string text_, normal_, scratch_;
    std::string word_;
    std::vector<std::size_t> ends_;  // the end of each code point in word_
    std::vector<std::int64_t> found_;
};

}  // namespace mghft
