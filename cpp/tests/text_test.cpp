// Views and the cache of text features; token ids are compared with `tokenizers` from Python.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>

#include "mghft/mghft.hpp"
#include "text_cache.hpp"
#include "tokenizer.hpp"
#include "views.hpp"

using namespace mghft;

TEST_CASE("a text is cut at its markers, in any order, case and spacing") {
    const Views views = split_views(
        "before #The Sticker\xE2\x80\x99s  gesture: waves. # the sticker's MAIN  role is a cat #The sticker's "
        "intention x "
        "#The sticker's intention again");
    CHECK(views[0] == "#The sticker's intention x #The sticker's intention again");
    CHECK(views[1].substr(0, 6) == "before");  // no marker for the style
    CHECK(views[2] == "# the sticker's MAIN  role is a cat");
    CHECK(views[3] == "#The Sticker\xE2\x80\x99s  gesture: waves.");
    CHECK(split_views("#The sticker's styles")[1] == "#The sticker's styles");  // no word of its own
}

TEST_CASE("a text without words is refused") {
    for (const char* text : {"", " \t\n", "\xE3\x80\x80\xC2\xA0"}) CHECK_THROWS_AS(require_text(text), Error);
    CHECK_THROWS_WITH_AS(require_text("\xFF"), "a text is not valid UTF-8; save it again as UTF-8", Error);
}

TEST_CASE("the texts used last are kept") {
    constexpr std::size_t kMost = 5;
    TextCache cache(kMost, 2);
    std::deque<int> order;  // what has to be kept, the newest first
    std::mt19937 random(1);
    for (int step = 0; step < 2000; ++step) {
        const int text = static_cast<int>(random() % 12);
        const Digest key = sha256(std::to_string(text));
        const auto place = std::find(order.begin(), order.end(), text);
        const float* found = cache.find(key);
        REQUIRE((found != nullptr) == (place != order.end()));
        if (found != nullptr) {
            REQUIRE(found[1] == static_cast<float>(text));
            order.erase(place);
        } else {
            const float features[] = {0, static_cast<float>(text)};
            cache.keep(key, features);
        }
        order.push_front(text);
        if (order.size() > kMost) order.pop_back();
    }
}

TEST_CASE("a cache of no texts keeps none") {
    TextCache cache(0, 2);
    const float features[] = {1, 2};
    cache.keep(sha256("a"), features);
    CHECK(cache.find(sha256("a")) == nullptr);
}

namespace {

const std::string kTokenizer = R"({"normalizer": {"type": "BertNormalizer", "clean_text": true,
    "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}}],
        "special_tokens": {"[CLS]": {"ids": [2]}, "[SEP]": {"ids": [3]}}},
    "added_tokens": [{"id": 2, "content": "[CLS]", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false}],
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 10,
              "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "un": 4, "##able": 5, "!": 6, "##a": 7}}})";

}  // namespace

TEST_CASE("words become their longest pieces") {
    Tokenizer tokenizer(kTokenizer, "t");
    std::vector<std::int64_t> ids;
    const auto encoded = [&](const char* text, std::size_t most = 100) {
        tokenizer.encode(text, most, ids);
        return ids;
    };
    using Ids = std::vector<std::int64_t>;
    CHECK(encoded("\xC3\x9AnABLE!") == Ids{2, 4, 5, 6, 3});
    CHECK(encoded("una") == Ids{2, 4, 7, 3});
    CHECK(encoded("unb un") == Ids{2, 1, 4, 3});
    CHECK(encoded("unaaaaaaaaa un") == Ids{2, 1, 4, 3});  // longer than a word may be
    CHECK(encoded("un[CLS]un") == Ids{2, 4, 2, 4, 3});
    CHECK(encoded("un un un un", 4) == Ids{2, 4, 4, 3});
    CHECK(encoded("") == Ids{2, 3});
    CHECK_THROWS_AS(encoded("\xC3"), Error);
}

TEST_CASE("of a token that stands twice the last id counts, as in Python") {
    std::string twice = kTokenizer;
    Tokenizer tokenizer(twice.replace(twice.find(R"("!": 6)"), 6, R"("!": 6, "un": 8)"), "t");
    std::vector<std::int64_t> ids;
    tokenizer.encode("un", 100, ids);
    CHECK(ids == std::vector<std::int64_t>{2, 8, 3});
}

TEST_CASE("a tokenizer that is not BERT's is refused") {
    const auto with = [](const std::string& from, const std::string& to) {
        std::string changed = kTokenizer;
        return Tokenizer(changed.replace(changed.find(from), from.size(), to), "t");
    };
    CHECK_THROWS_WITH_AS(with("BertNormalizer", "NFC"), doctest::Contains("is not BertNormalizer"), Error);
    CHECK_THROWS_WITH_AS(with("WordPiece", "BPE"), doctest::Contains("is not WordPiece"), Error);
    CHECK_THROWS_WITH_AS(with(R"("lstrip": false)", R"("lstrip": true)"), doctest::Contains("plain special token"),
                         Error);
    CHECK_THROWS_WITH_AS(with(R"("[PAD]": 0)", R"("[PAD]": 9)"), doctest::Contains("has no [PAD] with id 0"), Error);
    CHECK_THROWS_WITH_AS(with(R"("un": 4)", R"("un": -4)"), doctest::Contains("vocab"), Error);
    CHECK_THROWS_WITH_AS(with(R"("un": 4)", R"("un": {"un": 4})"), doctest::Contains("vocab"), Error);
    CHECK_THROWS_WITH_AS(with(R"("un": 4)", R"("un": 99999999)"), doctest::Contains("vocab"), Error);
    CHECK_THROWS_WITH_AS(Tokenizer("", "t"), "t is not a BERT tokenizer (is not JSON); export the bundle again", Error);
}
