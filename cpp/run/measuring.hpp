// A row of a benchmark in a process of its own: its memory is its own, and what kills it kills no other row.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace mghft::run {

struct WarmUp {
    double runs = 0, seconds = 0, first = 0;
    bool stable = false;
};

// What a process is asked for, and the numbers that it answers.
enum class Question : char { kWarmUp = 'w', kBurst = 'b', kMemory = 'm' };

// Most bytes that this process had resident so far.
double peak_memory();

// Runs until runs take the same time: at least half a second, at most five after the first run.
WarmUp warm_up(const std::function<void()>& run);

// Seconds of each of at least one run, more until `seconds` are full. With `rewarm` runs go first untimed for 0.1 s,
// since caches went cold while other rows had their turns.
std::vector<double> burst(const std::function<void()>& run, double seconds, bool rewarm);

class MeasuringProcess {
  public:
    // `prepare` loads everything in the new process and returns a function that runs once.
    // Call it before this process has threads. SIGPIPE is ignored from here on.
    explicit MeasuringProcess(const std::function<std::function<void()>()>& prepare);
    ~MeasuringProcess();
    MeasuringProcess(MeasuringProcess&& other) noexcept;
    MeasuringProcess& operator=(MeasuringProcess&&) = delete;

    // Throws Error with what went wrong in the process, or that it ended.
    double loaded_bytes();  // waits until everything is loaded
    WarmUp warm_up();
    std::vector<double> burst(double seconds);  // without rewarming where the last one had runs of a second or more
    double peak_bytes();

  private:
    std::vector<double> ask(Question question, double argument);
    std::vector<double> answer();
    [[noreturn]] void throw_ended();

    int process_ = -1, to_ = -1, from_ = -1;
};

}  // namespace mghft::run
