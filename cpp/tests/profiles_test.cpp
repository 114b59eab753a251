// Profiles and splitting; the cases are those of tests/runtime/test_profile_choice.py.
#include <doctest/doctest.h>

#include <numeric>

#include "mghft/mghft.hpp"
#include "profiles.hpp"

using namespace mghft;

namespace {

Profile batches(std::int64_t least, std::int64_t best, std::int64_t most) {
    return {{{least, 3, 8, 8}, {best, 3, 8, 8}, {most, 3, 8, 8}}};
}

}  // namespace

TEST_CASE("of the profiles that hold the shapes the smallest runs") {
    const std::vector<Profile> profiles = {batches(1, 8, 32), batches(1, 1, 2), batches(1, 4, 32)};
    CHECK(choose_profile(profiles, {{1, 3, 8, 8}}) == 1);
    CHECK(choose_profile(profiles, {{3, 3, 8, 8}}) == 2);
    CHECK(choose_profile(profiles, {{32, 3, 8, 8}}) == 0);
    CHECK_THROWS_WITH_AS(choose_profile(profiles, {{33, 3, 8, 8}}), doctest::Contains("1x3x8x8 to 32x3x8x8"), Error);
}

TEST_CASE("batches are split into few and even runs") {
    const std::vector<BatchRange> one = {{1, 32}};
    CHECK(split_batch(32, one) == std::vector<std::int64_t>{32});
    CHECK(split_batch(33, one) == std::vector<std::int64_t>{17, 16});
    CHECK(split_batch(5, {{2, 2}, {3, 3}}).size() == 2);
    CHECK_THROWS_AS(split_batch(5, {{2, 2}}), Error);
    CHECK_THROWS_AS(split_batch(1, {{8, 32}}), Error);
    CHECK_THROWS_AS(split_batch(1, {}), Error);
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
