// BERT's WordPiece: texts to token ids, as `tokenizers` makes them of the bundle's tokenizer.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mghft {

class Tokenizer {
  public:
    // Throws Error where the content is no tokenizer of BERT; `name` stands in the message.
    Tokenizer(const std::string& content, const std::string& name);

    // [CLS] ... [SEP], at most `max_length` ids: what is longer loses its end. Replaces `ids`.
    // Throws Error where the text is not valid UTF-8.
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

    std::vector<char> letters_;                                   // of all tokens, one after the other
    Vocabulary starts_;                                           // tokens that start a word
    Vocabulary continuations_;                                    // tokens after the prefix "##", without it
    std::size_t longest_ = 0;                                     // bytes of the longest token
    std::size_t longest_word_ = 100;                              // code points; a longer word is unknown
    std::vector<std::pair<std::u32string, std::int64_t>> added_;  // longest first
    std::int64_t first_ = 0, last_ = 0, unknown_ = 0;
    bool spaces_ideographs_ = true, strips_accents_ = true, lowers_ = true;

    // Kept between calls, so that a call allocates nothing once it has seen a text as long.
    std::u32string text_, normal_, scratch_;
    std::string word_;
    std::vector<std::size_t> ends_;  // of each code point in word_
    std::vector<std::int64_t> found_;
};

}  // namespace mghft
