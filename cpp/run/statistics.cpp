#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace mghft::run {

double percentile(std::vector<double>& values, double percent) {
    std::sort(values.begin(), values.end());
    const double place = percent / 100 * double(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto above = std::min(below + 1, values.size() - 1);
    return values[below] + (values[above] - values[below]) * (place - double(below));
}

Latency latency(const std::vector<double>& seconds, int batch) {
    std::vector<double> times;
    for (const double second : seconds) times.push_back(second * 1e3);
    Latency found;
    found.iterations = times.size();
    found.mean = std::accumulate(times.begin(), times.end(), 0.0) / double(times.size());
    double squares = 0;
    for (const double time : times) squares += (time - found.mean) * (time - found.mean);
    found.variation = std::sqrt(squares / double(times.size())) / found.mean;
    found.minimum = *std::min_element(times.begin(), times.end());
    found.median = percentile(times, 50);
    found.p90 = percentile(times, 90);
    found.p95 = percentile(times, 95);
    found.p99 = percentile(times, 99);
    found.stickers_per_second = batch / found.median * 1e3;
    return found;
}

SpeedUp speed_up(const std::vector<double>& reference, const std::vector<double>& other) {
    constexpr std::size_t kDraws = 2000;
    std::vector<double> ratios;
    for (std::size_t round = 0; round < reference.size(); ++round) ratios.push_back(reference[round] / other[round]);
    std::mt19937_64 random(0);
    std::uniform_int_distribution<std::size_t> pick(0, ratios.size() - 1);
    std::vector<double> draws, drawn(ratios.size());
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
        std::generate(drawn.begin(), drawn.end(), [&] { return ratios[pick(random)]; });
        draws.push_back(percentile(drawn, 50));
    }
    return {percentile(ratios, 50), percentile(draws, 2.5), percentile(draws, 97.5)};
}

}  // namespace mghft::run
