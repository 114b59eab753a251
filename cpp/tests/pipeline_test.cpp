// What the pipeline asks of its branches, on stand-ins.
#include <doctest/doctest.h>

#include "pipeline.hpp"
#include "stand_in_session.hpp"

using namespace mghft;

namespace {

struct Made {
    StandInVision* vision;
    StandInText* text;
    StandInFusion* fusion;
    Pipeline pipeline;
};

Made make(const Manifest& manifest, std::size_t kept = 100, const std::vector<Profile>& vision_profiles = {},
          const std::vector<Profile>& fusion_profiles = {}) {
    auto vision = std::make_unique<StandInVision>(vision_profiles);
    auto text = std::make_unique<StandInText>();
    auto fusion = std::make_unique<StandInFusion>(fusion_profiles);
    StandInVision* v = vision.get();
    StandInText* t = text.get();
    StandInFusion* f = fusion.get();
    return {v, t, f,
            Pipeline(manifest, Tokenizer(stand_in_tokenizer(), "tokenizer.json"),
                     {std::move(vision), std::move(text), std::move(fusion)}, kept)};
}

// Images of one colour: n / 255 is what the vision branch sees.
std::vector<std::vector<std::uint8_t>> plain_images(std::size_t count) {
    std::vector<std::vector<std::uint8_t>> images;
    for (std::size_t number = 0; number < count; ++number) {
        images.emplace_back(8 * 8 * 3, static_cast<std::uint8_t>(number + 1));
    }
    return images;
}

std::vector<ImageView> views_of(const std::vector<std::vector<std::uint8_t>>& images) {
    std::vector<ImageView> views;
    for (const auto& image : images) views.push_back({image.data(), 8, 8, 3, 24});
    return views;
}

}  // namespace

TEST_CASE("each sticker gets its image and its text") {
    Made made = make(stand_in_manifest());
    const auto images = plain_images(3);
    const std::string_view texts[] = {"one", "two two", "one"};
    float logits[6];
    made.pipeline.logits(views_of(images).data(), texts, nullptr, 3, logits);
    CHECK(logits[0] == doctest::Approx(1 / 255.0));
    CHECK(logits[4] == doctest::Approx(3 / 255.0));
    CHECK(logits[1] == 4 * (11 + 3));  // four views: the id and three tokens
    CHECK(logits[3] == 4 * (12 + 4));
    CHECK(logits[5] == logits[1]);
    CHECK(made.text->runs.size() == 1);
    CHECK(made.text->runs[0] == Shape{2, 4});  // the repeated text once
}

TEST_CASE("texts that were seen are not encoded again") {
    Made made = make(stand_in_manifest());
    const std::string_view texts[] = {"one", "two"};
    float features[16], again[16];
    made.pipeline.encode_texts(texts, 2, features);
    made.pipeline.encode_texts(texts, 2, again);
    CHECK(made.text->runs.size() == 1);
    CHECK(std::equal(features, features + 16, again));
    Made without = make(stand_in_manifest(), 0);
    without.pipeline.encode_texts(texts, 2, features);
    without.pipeline.encode_texts(texts, 2, features);
    CHECK(without.text->runs.size() == 2);
}

TEST_CASE("separate views are four texts, pooled padding has one length") {
    Made made = make(stand_in_manifest(true, true));
    const std::string_view text = "#The sticker's intention one #The sticker's gesture two";
    float features[8];
    made.pipeline.encode_texts(&text, 1, features);
    CHECK(made.text->runs[0] == Shape{3, 16});  // style and main role are the whole text, once
    CHECK(features[2] == features[4]);
}

TEST_CASE("features that are given are not computed") {
    Made made = make(stand_in_manifest());
    const auto images = plain_images(2);
    const std::vector<float> features = {1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2};
    float logits[4];
    made.pipeline.logits(views_of(images).data(), nullptr, features.data(), 2, logits);
    CHECK(logits[1] == 8);
    CHECK(logits[3] == 16);
    CHECK(made.text->runs.empty());
}

TEST_CASE("a batch is split as the engines' profiles want") {
    const std::vector<Profile> vision = {{{{1, 3, 32, 32}, {2, 3, 32, 32}, {4, 3, 32, 32}}}};
    const std::vector<Profile> fusion = {{{{1, 2}, {1, 2}, {3, 2}}, {{1, 4, 2}, {1, 4, 2}, {3, 4, 2}}}};
    Made made = make(stand_in_manifest(), 100, vision, fusion);
    const auto images = plain_images(7);
    const std::vector<std::string_view> texts(7, "one");
    std::vector<float> logits(14);
    made.pipeline.logits(views_of(images).data(), texts.data(), nullptr, 7, logits.data());
    REQUIRE(made.vision->runs.size() == 3);
    CHECK(made.vision->runs[0].sizes[0] == 3);
    CHECK(made.vision->runs[2].sizes[0] == 2);
    for (std::size_t row = 0; row < 7; ++row) CHECK(logits[row * 2] == doctest::Approx((double(row) + 1) / 255));
    CHECK(made.text->runs.size() == 1);
}

TEST_CASE("what is wrong with a sticker is said before anything runs") {
    Made made = make(stand_in_manifest());
    const auto images = plain_images(1);
    std::vector<ImageView> views = views_of(images);
    float logits[2];
    std::string_view text = " ";
    CHECK_THROWS_AS(made.pipeline.logits(views.data(), &text, nullptr, 1, logits), Error);
    text = "one";
    views[0].channels = 1;
    CHECK_THROWS_AS(made.pipeline.logits(views.data(), &text, nullptr, 1, logits), Error);
    views[0].channels = 3;
    made.pipeline.logits(views.data(), &text, nullptr, 1, logits);
    made.pipeline.logits(views.data(), &text, nullptr, 0, logits);
}

TEST_CASE("branches of different models are refused") {
    Manifest manifest = stand_in_manifest();
    manifest.class_names.push_back("c");
    CHECK_THROWS_WITH_AS(make(manifest), doctest::Contains("logits"), Error);
    manifest = stand_in_manifest();
    manifest.image.height = 64;
    CHECK_THROWS_WITH_AS(make(manifest), doctest::Contains("'image'"), Error);
}
