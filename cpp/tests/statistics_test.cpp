// Timings; the expected numbers are NumPy's.
#include <doctest/doctest.h>
#include <unistd.h>

#include "measuring.hpp"
#include "mghft/mghft.hpp"
#include "statistics.hpp"

using namespace mghft::run;

TEST_CASE("latencies are summed up as NumPy does") {
    const Latency found = latency({0.001, 0.002, 0.004, 0.010}, 2);
    CHECK(found.iterations == 4);
    CHECK(found.median == doctest::Approx(3));
    CHECK(found.mean == doctest::Approx(4.25));
    CHECK(found.p90 == doctest::Approx(8.2));
    CHECK(found.p99 == doctest::Approx(9.82));
    CHECK(found.variation == doctest::Approx(0.821426));
    CHECK(found.stickers_per_second == doctest::Approx(2 / 0.003));
}

TEST_CASE("a speed-up is the median of the rounds' ratios, inside its interval") {
    const SpeedUp found = speed_up({2, 4, 6, 8}, {1, 2, 2, 2});
    CHECK(found.median == doctest::Approx(2.5));
    CHECK(found.low >= 2);
    CHECK(found.high <= 4);
    CHECK(found.low <= found.median);
    CHECK(found.median <= found.high);
}

TEST_CASE("a row that fails says why, one that is killed does not hang") {
    MeasuringProcess failing([]() -> std::function<void()> { throw mghft::Error("no such thing"); });
    CHECK_THROWS_WITH_AS(failing.loaded_bytes(), "no such thing", mghft::Error);
    MeasuringProcess ending([]() -> std::function<void()> { _exit(3); });
    CHECK_THROWS_WITH_AS(ending.loaded_bytes(), doctest::Contains("the process ended"), mghft::Error);
    MeasuringProcess running([] { return [] { volatile int sum = 0; for (int i = 0; i < 1000; ++i) sum = sum + i; }; });
    CHECK(running.loaded_bytes() > 0);
    CHECK(running.warm_up().runs > 3);
    CHECK(running.burst(0.001).size() > 1);
    CHECK(running.peak_bytes() > 0);
}
