// Profiles and splitting.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <sstream>

#include "json.hpp"
#include "mghft/mghft.hpp"
#include "profiles.hpp"

using namespace mghft;

namespace {

Profile batches(std::int64_t least, std::int64_t best, std::int64_t most) {
    return {{{least, 3, 8, 8}, {best, 3, 8, 8}, {most, 3, 8, 8}}};
}

}  // namespace

// What Python chooses, too (tests/runtime/test_profile_choice.py).
TEST_CASE("profiles are chosen and batches split as the cases say") {
    std::ifstream file(MGHFT_TEST_FILES "/runtime/profile_cases.json");
    std::stringstream content;
    content << file.rdbuf();
    const JsonDocument document(content.str());
    const auto numbers = [](const JsonValue& value) {
        std::vector<std::int64_t> found;
        for (std::size_t index = 0; index < value.size(); ++index) found.push_back(value.item(index).integer());
        return found;
    };
    const auto shape = [&numbers](const JsonValue& value) {
        Shape found;
        for (const std::int64_t size : numbers(value)) found.sizes[found.rank++] = size;
        return found;
    };
    const JsonValue choices = document.root()["choose"];
    REQUIRE(choices.size() > 0);
    for (std::size_t number = 0; number < choices.size(); ++number) {
        const JsonValue item = choices.item(number);
        CAPTURE(number);
        std::vector<Profile> profiles;
        for (std::size_t index = 0; index < item["profiles"].size(); ++index) {
            Profile profile;
            const JsonValue inputs = item["profiles"].item(index);
            for (std::size_t input = 0; input < inputs.size(); ++input) {
                const JsonValue three = inputs.item(input);
                profile.push_back({shape(three.item(0)), shape(three.item(1)), shape(three.item(2))});
            }
            profiles.push_back(profile);
        }
        std::vector<Shape> shapes;
        for (std::size_t input = 0; input < item["shapes"].size(); ++input) {
            shapes.push_back(shape(item["shapes"].item(input)));
        }
        if (item.has("profile")) {
            CHECK(std::int64_t(choose_profile(profiles, shapes)) == item["profile"].integer());
        } else {
            CHECK_THROWS_WITH_AS(choose_profile(profiles, shapes), doctest::Contains("--text-length"), Error);
        }
    }
    const JsonValue splits = document.root()["split"];
    REQUIRE(splits.size() > 0);
    for (std::size_t number = 0; number < splits.size(); ++number) {
        const JsonValue item = splits.item(number);
        CAPTURE(number);
        std::vector<BatchRange> ranges;
        for (std::size_t index = 0; index < item["batches"].size(); ++index) {
            ranges.push_back({item["batches"].item(index).item(0).integer(), item["batches"].item(index).item(1).integer()});
        }
        const std::int64_t count = item["count"].integer();
        if (item.has("parts")) {
            auto parts = split_batch(count, ranges);
            std::sort(parts.rbegin(), parts.rend());
            CHECK(parts == numbers(item["parts"]));
        } else {
            CHECK_THROWS_WITH_AS(split_batch(count, ranges), doctest::Contains("--batch 1,8,32"), Error);
        }
    }
}

TEST_CASE("runs of any number of rows add up") {
    for (std::int64_t count = 1; count < 100; ++count) {
        const auto parts = split_batch(count, {{1, 7}, {16, 16}});
        CHECK(std::accumulate(parts.begin(), parts.end(), std::int64_t{0}) == count);
    }
}

TEST_CASE("two branches run the batches that both have") {
    const auto common = common_ranges({{1, 32}}, {{1, 2}, {8, 64}});
    REQUIRE(common.size() == 2);
    CHECK(common[0].most == 32);
    CHECK(common[0].least == 8);
    CHECK(common[1].most == 2);
    CHECK(batch_ranges({batches(1, 8, 32), batches(1, 1, 2)}, {{99, 3, 8, 8}}).size() == 2);
    CHECK_THROWS_AS(batch_ranges({batches(1, 8, 32)}, {{1, 3, 9, 9}}), Error);
}

TEST_CASE("texts run in profiles that hold their own length, whatever the model's longest is") {
    const Extent one = {{1, 2}, {4, 64}, {8, 128}};
    const std::vector<Profile> profiles = {{one, one}};  // ids and mask, of --batch 1,4,8 --text-length 2,64,128
    for (const std::int64_t length : {2, 20, 64, 128}) {
        const auto ranges = batch_ranges(profiles, {{1, length}, {1, length}});
        REQUIRE(ranges.size() == 1);
        CHECK(ranges[0].least == 1);
        CHECK(ranges[0].most == 8);
        CHECK(split_batch(20, ranges) == std::vector<std::int64_t>{7, 7, 6});
        CHECK(choose_profile(profiles, {{7, length}, {7, length}}) == 0);
    }
    CHECK_THROWS_WITH_AS(batch_ranges(profiles, {{1, 129}, {1, 129}}), doctest::Contains("--text-length"), Error);
    CHECK_THROWS_AS(batch_ranges(profiles, {{1, 1}, {1, 1}}), Error);
}

TEST_CASE("a profile for long texts may take other batches than one for short texts") {
    const Extent brief = {{1, 2}, {8, 16}, {32, 16}}, lengthy = {{2, 17}, {2, 64}, {4, 128}};
    const std::vector<Profile> profiles = {{brief, brief}, {lengthy, lengthy}};
    CHECK(split_batch(32, batch_ranges(profiles, {{1, 16}, {1, 16}})) == std::vector<std::int64_t>{32});
    CHECK(split_batch(9, batch_ranges(profiles, {{1, 17}, {1, 17}})) == std::vector<std::int64_t>{3, 3, 3});
    CHECK(choose_profile(profiles, {{3, 17}, {3, 17}}) == 1);
    CHECK_THROWS_AS(split_batch(1, batch_ranges(profiles, {{1, 17}, {1, 17}})), Error);
}
