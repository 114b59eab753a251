// How texts are put into runs of the text branch, on stand-ins.
#include <doctest/doctest.h>

#include "pipeline.hpp"
#include "stand_in_session.hpp"

using namespace mghft;

namespace {

struct Made {
    StandInText* text;
    Pipeline pipeline;
};

Made make(const std::vector<Profile>& profiles = {}) {
    auto text = std::make_unique<StandInText>(profiles);
    StandInText* kept = text.get();
    return {kept, Pipeline(stand_in_manifest(), Tokenizer(stand_in_tokenizer(), "tokenizer.json"),
                           {std::make_unique<StandInVision>(), std::move(text), std::make_unique<StandInFusion>()}, 0)};
}

// Texts of different lengths, all different: of text n the second id is 11, 12 or 13, and the words count in threes.
std::vector<std::string> different_texts(std::size_t count) {
    const char* words[] = {"one", "two", "three"};
    std::vector<std::string> texts;
    for (std::size_t number = 0; number < count; ++number) {
        std::string text;
        for (std::size_t rest = number + 3; rest > 0; rest /= 3) text += std::string(words[rest % 3]) + " ";
        texts.push_back(text);
    }
    return texts;
}

Profile profile(std::int64_t most_texts, std::int64_t least_tokens, std::int64_t most_tokens) {
    const Extent extent{{1, least_tokens}, {1, most_tokens}, {most_texts, most_tokens}};
    return {extent, extent};
}

std::vector<float> encoded(Pipeline& pipeline, const std::vector<std::string>& texts) {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    std::vector<float> features(texts.size() * 8);
    pipeline.encode_texts(views.data(), views.size(), features.data());
    return features;
}

}  // namespace

TEST_CASE("many texts are several runs, short ones first") {
    Made made = make();
    const auto texts = different_texts(70);
    const auto features = encoded(made.pipeline, texts);
    REQUIRE(made.text->runs.size() == 3);
    for (std::size_t run = 0; run < 3; ++run) {
        CHECK(made.text->runs[run].sizes[0] <= 24);
        if (run > 0) CHECK(made.text->runs[run - 1].sizes[1] <= made.text->runs[run].sizes[1]);
    }
    CHECK(made.text->runs[0].sizes[1] < made.text->runs[2].sizes[1]);
    Made single = make();
    for (std::size_t number = 0; number < texts.size(); ++number) {
        const auto own = encoded(single.pipeline, {texts[number]});
        CHECK(std::equal(own.begin(), own.end(), features.begin() + std::ptrdiff_t(number * 8)));
    }
}

TEST_CASE("an engine is asked for the texts' length, not for the longest there is") {
    Made made = make({profile(8, 2, 6)});
    encoded(made.pipeline, {"one", "two two"});
    CHECK(made.text->runs[0] == Shape{2, 4});
    CHECK_THROWS_WITH_AS(encoded(made.pipeline, {"one one one one one one one"}), doctest::Contains("--text-length"),
                         Error);
    encoded(made.pipeline, {"three"});  // what was refused is forgotten
    CHECK(made.text->runs.back() == Shape{1, 3});
}

TEST_CASE("texts that are too short for an engine's profile are padded to what it takes") {
    Made made = make({profile(1, 5, 9)});
    const auto features = encoded(made.pipeline, {"one", "two two two two"});
    REQUIRE(made.text->runs.size() == 2);
    CHECK(made.text->runs[0] == Shape{1, 5});
    CHECK(made.text->runs[1] == Shape{1, 6});
    CHECK(features[1] == 3);  // the mask knows what is padding
}
