#include "tokenizer.hpp"

#include <algorithm>

#include "json.hpp"
#include "mghft/mghft.hpp"
#include "text.hpp"
#include "unicode.hpp"
#include "utf8.hpp"

namespace mghft {

namespace {

constexpr std::int64_t kMostIds = 1 << 24;
constexpr std::int64_t kMostLetters = 1000;       // of a word that is looked up; BERT has 100
constexpr std::size_t kMostCharacters = 100'000;  // of a text; only tokens at its beginning count
constexpr std::string_view kPrefix = "##";

// Refuses tokenizers that work differently from BERT's: if this were ignored, ids would differ silently.
void require(bool fits, const JsonValue& value, const char* what) {
    if (!fits) value.fail(what);
}

std::u32string code_points(const JsonValue& value) {
    std::u32string found;
    if (!decode_utf8(value.string(), found)) value.fail("is not UTF-8");
    return found;
}

// The id of [CLS] or [SEP] in the template "[CLS] A [SEP]".
std::int64_t special_id(const JsonValue& processor, const JsonValue& step) {
    const std::string token = step["SpecialToken"]["id"].string();
    const JsonValue ids = processor["special_tokens"][token.c_str()]["ids"];
    require(ids.size() == 1, ids, "has not one id");
    return ids.item(0).integer(0, kMostIds);
}

}  // namespace

Tokenizer::Tokenizer(const std::string& content, const std::string& name) {
    try {
        read(content);
    } catch (const JsonError& error) {
        throw Error(text(name, " is not a BERT tokenizer (", error.what(), "); export the bundle again"));
    }
}

void Tokenizer::read(const std::string& content) {
    const JsonDocument document(content, {"model", "vocab"});
    const JsonValue root = document.root();

    const JsonValue normalizer = root["normalizer"];
    require(normalizer["type"].string() == "BertNormalizer", normalizer, "is not BertNormalizer");
    require(normalizer["clean_text"].boolean(), normalizer, "does not clean texts");
    spaces_ideographs_ = normalizer["handle_chinese_chars"].boolean();
    lowers_ = normalizer["lowercase"].boolean();
    strips_accents_ = normalizer.boolean_or("strip_accents", lowers_);
    require(root["pre_tokenizer"]["type"].string() == "BertPreTokenizer", root["pre_tokenizer"],
            "is not BertPreTokenizer");

    const JsonValue model = root["model"];
    require(model["type"].string() == "WordPiece", model, "is not WordPiece");
    require(model["continuing_subword_prefix"].string() == kPrefix, model, "has another prefix than ##");
    longest_word_ = static_cast<std::size_t>(model["max_input_chars_per_word"].integer(1, kMostLetters));
    require(model["vocab"].members().empty(), model["vocab"], "has a value that is no number");
    read_vocabulary(document.table(), model["vocab"]);
    const std::string unknown = model["unk_token"].string();
    const auto place = starts_.find(unknown);
    require(place != starts_.end(), model["unk_token"], "is not in the vocabulary");
    unknown_ = place->second;

    const JsonValue processor = root["post_processor"];
    require(processor["type"].string() == "TemplateProcessing", processor, "is not TemplateProcessing");
    const JsonValue single = processor["single"];
    require(single.size() == 3 && single.item(1).has("Sequence"), single, "is not [CLS] text [SEP]");
    first_ = special_id(processor, single.item(0));
    last_ = special_id(processor, single.item(2));

    const JsonValue added = root["added_tokens"];
    for (std::size_t index = 0; index < added.size(); ++index) {
        const JsonValue token = added.item(index);
        const bool plain = !token["single_word"].boolean() && !token["lstrip"].boolean() &&
                           !token["rstrip"].boolean() && !token["normalized"].boolean();
        require(plain, token, "is more than a plain special token");
        added_.emplace_back(code_points(token["content"]), token["id"].integer(0, kMostIds));
        require(!added_.back().first.empty(), token, "is empty");
    }
    std::stable_sort(added_.begin(), added_.end(),
                     [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
    const bool pads = starts_.count("[PAD]") != 0 && starts_.at("[PAD]") == kPad;
    require(pads, model["vocab"], "has no [PAD] with id 0");
}

void Tokenizer::read_vocabulary(const std::vector<std::pair<std::string, std::uint64_t>>& tokens,
                                const JsonValue& vocabulary) {
    std::size_t bytes = 0;
    for (const auto& token : tokens) bytes += token.first.size();
    letters_.reserve(bytes);  // it must not move, because views point into it
    starts_.reserve(tokens.size());
    continuations_.reserve(tokens.size());
    for (const auto& [token, number] : tokens) {
        require(number <= std::uint64_t(kMostIds), vocabulary, "has an id that is none");
        const std::size_t start = letters_.size();
        letters_.insert(letters_.end(), token.begin(), token.end());
        const std::string_view letters(letters_.data() + start, token.size());
        const auto id = static_cast<std::int64_t>(number);
        starts_[letters] = id;  // if a token comes twice, its last id counts, as in Python
        longest_ = std::max(longest_, letters.size());
        if (letters.substr(0, kPrefix.size()) == kPrefix) continuations_[letters.substr(kPrefix.size())] = id;
    }
}

void Tokenizer::encode(std::string_view text, std::size_t max_length, std::vector<std::int64_t>& ids) {
    text_.clear();
    if (!decode_utf8(text, text_)) throw Error("a text is not valid UTF-8; save it again as UTF-8");
    if (text_.size() > kMostCharacters) {
        throw Error(mghft::text("a text has ", text_.size(), " characters; give at most ", kMostCharacters,
                                ", of which the model reads the first"));
    }
    found_.clear();
    // Special tokens in the text itself are found before anything is normalised.
    std::size_t start = 0;
    const std::u32string_view all(text_);
    for (std::size_t position = 0; position < all.size();) {
        const auto token = std::find_if(added_.begin(), added_.end(), [&](const auto& candidate) {
            return all.compare(position, candidate.first.size(), candidate.first) == 0;
        });
        if (token == added_.end()) {
            ++position;
            continue;
        }
        encode_segment(all.substr(start, position - start));
        found_.push_back(token->second);
        position += token->first.size();
        start = position;
    }
    encode_segment(all.substr(start));
    ids.clear();
    ids.push_back(first_);
    const std::size_t kept = std::min(found_.size(), max_length - 2);
    ids.insert(ids.end(), found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(kept));
    ids.push_back(last_);
}

void Tokenizer::encode_segment(std::u32string_view segment) {
    normalize(segment);
    const std::u32string_view normal(normal_);
    std::size_t start = 0;
    for (std::size_t position = 0; position <= normal.size(); ++position) {
        const bool end = position == normal.size();
        const bool space = !end && normal[position] == U' ';
        const bool punctuation = !end && !space && unicode::is_punctuation(normal[position]);
        if (!end && !space && !punctuation) continue;
        if (position > start) encode_word(normal.substr(start, position - start));
        if (punctuation) encode_word(normal.substr(position, 1));
        start = position + 1;
    }
}

void Tokenizer::normalize(std::u32string_view segment) {
    normal_.clear();
    for (const char32_t code : segment) {
        if (unicode::is_removed(code)) continue;
        const char32_t kept = unicode::is_space(code) ? U' ' : code;
        const bool ideograph = spaces_ideographs_ && unicode::is_ideograph(kept);
        if (ideograph) normal_.push_back(U' ');
        normal_.push_back(kept);
        if (ideograph) normal_.push_back(U' ');
    }
    if (strips_accents_) {
        unicode::decompose(normal_, scratch_);
        normal_.erase(std::remove_if(normal_.begin(), normal_.end(), unicode::is_mark), normal_.end());
    }
    if (lowers_) {
        scratch_.clear();
        for (const char32_t code : normal_) unicode::append_lower(code, scratch_);
        normal_.swap(scratch_);
    }
}

void Tokenizer::encode_word(std::u32string_view word) {
    if (word.size() > longest_word_) {
        found_.push_back(unknown_);
        return;
    }
    word_.clear();
    ends_.assign(1, 0);
    for (const char32_t code : word) {
        append_utf8(code, word_);
        ends_.push_back(word_.size());
    }
    const std::size_t before = found_.size();
    std::size_t start = 0;
    while (start < word.size()) {
        const Vocabulary& tokens = start == 0 ? starts_ : continuations_;
        std::size_t end = word.size();
        for (; end > start; --end) {
            const std::size_t length = ends_[end] - ends_[start];
            if (length > longest_) continue;
            const auto token = tokens.find(std::string_view(word_).substr(ends_[start], length));
            if (token == tokens.end()) continue;
            found_.push_back(token->second);
            break;
        }
        if (end == start) {
            found_.resize(before);
            found_.push_back(unknown_);
            return;
        }
        start = end;
    }
}

}  // namespace mghft
