// A row of a benchmark in its own process: it has its own memory, and if it is killed the other rows still run.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace mghft::run {

struct WarmUp {
    double runs = 0, seconds = 0, first = 0;
    bool stable = false;
};

// The questions to a measuring process; it answers with numbers.
enum class Question : char { kWarmUp = 'w', kBurst = 'b', kMemory = 'm' };

// The most resident memory of this process so far, in bytes.
double peak_memory();

// Runs until the runs take the same time: for at least half a second, and at most five seconds after the first run.
WarmUp warm_up(const std::function<void()>& run);

// Runs at least once and until `seconds` have passed; returns the seconds of each run. With `rewarm` it first runs for
// 0.1 s untimed, because the caches went cold during the turns of other rows.
std::vector<double> burst(const std::function<void()>& run, double seconds, bool rewarm);

class MeasuringProcess {
  public:
    // `prepare` loads everything in the new process and returns a function that runs once.
    // Call it before this process has threads. SIGPIPE is ignored from here on.
    explicit MeasuringProcess(const std::function<std::function<void()>()>& prepare);
    ~MeasuringProcess();
    MeasuringProcess(MeasuringProcess&& other) noexcept;
    MeasuringProcess& operator=(MeasuringProcess&&) = delete;

    // Each throws Error, which says what went wrong in the process, or that it ended.
    double loaded_bytes();  // waits until everything is loaded
    WarmUp warm_up();
    std::vector<double> burst(double seconds);  // without rewarming if the last run took a second or more
    double peak_bytes();

  private:
    std::vector<double> ask(Question question, double argument);
    std::vector<double> answer();
    [[noreturn]] void throw_ended();

    int process_ = -1, to_ = -1, from_ = -1;
};

}  // namespace mghft::run
