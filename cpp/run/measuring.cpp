#include "measuring.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "mghft/mghft.hpp"
#include "statistics.hpp"
#include "text.hpp"

namespace mghft::run {

namespace {

constexpr double kLeastSeconds = 0.5, kMostSeconds = 5, kTolerance = 0.05;
constexpr double kRewarmSeconds = 0.1, kRewarmBelow = 1;
constexpr std::size_t kWindow = 3;  // runs per median; the medians of neighbouring windows are compared

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double timed(const std::function<void()>& run) {
    const double start = now();
    run();
    return now() - start;
}

bool is_stable(const std::vector<double>& times) {
    if (times.size() < 2 * kWindow) return false;
    const auto end = times.end();
    std::vector<double> before(end - 2 * kWindow, end - kWindow), after(end - kWindow, end);
    return std::fabs(percentile(after, 50) / percentile(before, 50) - 1) <= kTolerance;
}

bool write_all(int file, const void* data, std::size_t size) {
    const auto* bytes = static_cast<const char*>(data);
    while (size > 0) {
        const ssize_t count = ::write(file, bytes, size);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        bytes += count;
        size -= std::size_t(count);
    }
    return true;
}

bool read_all(int file, void* data, std::size_t size) {
    auto* bytes = static_cast<char*>(data);
    while (size > 0) {
        const ssize_t count = ::read(file, bytes, size);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        bytes += count;
        size -= std::size_t(count);
    }
    return true;
}

struct Head {
    std::uint64_t failed = 0, count = 0;  // `count` is the bytes of an error sentence, or the numbers that follow
};

struct Ask {
    Question question{};
    double argument = 0;
};

void send(int file, const std::vector<double>& numbers) {
    const Head head{0, numbers.size()};
    write_all(file, &head, sizeof head);
    write_all(file, numbers.data(), numbers.size() * sizeof(double));
}

// Answers until the other process ends.
void serve(const std::function<std::function<void()>()>& prepare, int from, int to) {
    try {
        const std::function<void()> run = prepare();
        send(to, {peak_memory()});
        bool rewarm = true;
        Ask ask;
        while (read_all(from, &ask, sizeof ask)) {
            if (ask.question == Question::kMemory) {
                send(to, {peak_memory()});
            } else if (ask.question == Question::kBurst) {
                const std::vector<double> times = burst(run, ask.argument, rewarm);
                // Cold caches cost milliseconds, which do not show in longer runs.
                rewarm = times.back() < kRewarmBelow;
                send(to, times);
            } else {
                const WarmUp found = warm_up(run);
                send(to, {found.runs, found.seconds, found.first, found.stable ? 1.0 : 0.0});
            }
        }
    } catch (const std::exception& error) {
        const std::string said = error.what();
        const Head head{1, said.size()};
        write_all(to, &head, sizeof head);
        write_all(to, said.data(), said.size());
    }
}

}  // namespace

double peak_memory() {
    // Linux's ru_maxrss begins with the memory of the process that started this one, so it is the second choice.
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind("VmHWM:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) * 1024;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return double(usage.ru_maxrss) * 1024;
}

WarmUp warm_up(const std::function<void()>& run) {
    std::vector<double> times;
    const double started = now();
    while (true) {
        times.push_back(timed(run));
        const double seconds = now() - started;
        const bool stable = is_stable(times);
        if ((stable && seconds >= kLeastSeconds) || seconds - times[0] >= kMostSeconds) {
            return {double(times.size()), seconds, times[0], stable};
        }
    }
}

std::vector<double> burst(const std::function<void()>& run, double seconds, bool rewarm) {
    for (const double start = now(); rewarm && now() - start < kRewarmSeconds;) run();
    std::vector<double> times;
    double total = 0;
    while (times.empty() || total < seconds) {
        times.push_back(timed(run));
        total += times.back();
    }
    return times;
}

MeasuringProcess::MeasuringProcess(const std::function<std::function<void()>()>& prepare) {
    ::signal(SIGPIPE, SIG_IGN);  // `write` then reports a killed process instead of ending this one
    int questions[2], answers[2];
    if (::pipe(questions) != 0) throw Error("no pipe can be opened; close other programs");
    if (::pipe(answers) != 0) {
        ::close(questions[0]);
        ::close(questions[1]);
        throw Error("no pipe can be opened; close other programs");
    }
    process_ = ::fork();
    if (process_ == 0) {
        ::close(questions[1]);
        ::close(answers[0]);
        serve(prepare, questions[0], answers[1]);
        ::_exit(0);
    }
    ::close(questions[0]);
    ::close(answers[1]);
    to_ = questions[1];
    from_ = answers[0];
    if (process_ < 0) throw Error("no process can be started; close other programs");
}

MeasuringProcess::MeasuringProcess(MeasuringProcess&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      to_(std::exchange(other.to_, -1)),
      from_(std::exchange(other.from_, -1)) {}

MeasuringProcess::~MeasuringProcess() {
    if (to_ >= 0) ::close(to_);
    if (from_ >= 0) ::close(from_);
    if (process_ > 0) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
}

double MeasuringProcess::loaded_bytes() {
    return answer()[0];
}

WarmUp MeasuringProcess::warm_up() {
    const std::vector<double> found = ask(Question::kWarmUp, 0);
    return {found[0], found[1], found[2], found[3] != 0};
}

std::vector<double> MeasuringProcess::burst(double seconds) {
    return ask(Question::kBurst, seconds);
}

double MeasuringProcess::peak_bytes() {
    return ask(Question::kMemory, 0)[0];
}

std::vector<double> MeasuringProcess::ask(Question question, double argument) {
    const Ask message{question, argument};
    if (!write_all(to_, &message, sizeof message)) throw_ended();
    return answer();
}

std::vector<double> MeasuringProcess::answer() {
    Head head;
    if (!read_all(from_, &head, sizeof head)) throw_ended();
    if (head.failed != 0) {
        std::string said(head.count, '\0');
        read_all(from_, said.data(), said.size());
        throw Error(said);
    }
    std::vector<double> numbers(head.count);
    if (!read_all(from_, numbers.data(), numbers.size() * sizeof(double))) throw_ended();
    return numbers;
}

void MeasuringProcess::throw_ended() {
    int status = 0;
    if (process_ > 0) ::waitpid(std::exchange(process_, -1), &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        throw Error("the process was killed, most likely for want of memory");
    }
    throw Error(text("the process ended (status ", status, ")"));
}

}  // namespace mghft::run
