// Timings; the expected numbers are NumPy's.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "measuring.hpp"
#include "mghft/mghft.hpp"
#include "statistics.hpp"

using namespace mghft::run;

namespace {

// A number that a process and those it starts all see.
template <typename Value>
struct Shared {
    Shared() {
        void* memory = mmap(nullptr, sizeof(Value), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        value = static_cast<Value*>(memory);
    }
    ~Shared() { munmap(value, sizeof(Value)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    Value* value = nullptr;
};

}  // namespace

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
    MeasuringProcess running([] {
        return [] {
            volatile int sum = 0;
            for (int i = 0; i < 1000; ++i) sum = sum + i;
        };
    });
    CHECK(running.loaded_bytes() > 0);
    CHECK(running.warm_up().runs > 3);
    CHECK(running.burst(0.001).size() > 1);
    CHECK(running.peak_bytes() > 0);
}

TEST_CASE("a row that is killed between two questions says so, and the others go on") {
    const Shared<pid_t> shared;
    pid_t& process = *shared.value;
    MeasuringProcess row([&process] {
        process = getpid();
        return [] {};
    });
    CHECK(row.loaded_bytes() > 0);
    kill(process, SIGKILL);
    siginfo_t ended;
    REQUIRE(waitid(P_PID, id_t(process), &ended, WEXITED | WNOWAIT) == 0);
    CHECK_THROWS_WITH_AS(row.burst(0), doctest::Contains("the process was killed"), mghft::Error);
    CHECK_THROWS_AS(row.burst(0), mghft::Error);
}

TEST_CASE("untimed runs go first in every burst of short runs, and in the first of long ones") {
    const Shared<int> shared;
    int* runs = shared.value;
    MeasuringProcess row([runs] {
        return [runs] {
            ++*runs;
            std::this_thread::sleep_for(std::chrono::milliseconds(1010));
        };
    });
    CHECK(row.loaded_bytes() > 0);
    CHECK(row.burst(0).size() == 1);
    CHECK(*runs == 2);
    CHECK(row.burst(0).size() == 1);
    CHECK(*runs == 3);
    int short_runs = 0;
    CHECK(burst([&] { ++short_runs; }, 0, true).size() == 1);
    CHECK(short_runs > 2);
    CHECK(burst([&] { short_runs = 0; }, 0, false).size() == 1);
}
