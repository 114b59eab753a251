// Statistics of a list of timings; the same numbers as mghft_export.bench.statistics.
#pragma once

#include <optional>
#include <vector>

namespace mghft::run {

// Milliseconds of one run of a batch.
struct Latency {
    std::size_t iterations = 0;
    double median = 0, mean = 0, minimum = 0, p90 = 0, p95 = 0, p99 = 0;
    double variation = 0;            // standard deviation over the mean
    double stickers_per_second = 0;  // at the median
};

// How many times as fast one row is as another: the median of the rounds' ratios, and its 95 % interval.
struct SpeedUp {
    double median = 0, low = 0, high = 0;
};

// A percentile from 0 to 100 %, interpolated as NumPy does. Sorts the values; needs at least one.
double percentile(std::vector<double>& values, double percent);

Latency latency(const std::vector<double>& seconds, int batch);

// For rows that were timed in the same rounds: the i-th timings of both belong together.
SpeedUp speed_up(const std::vector<double>& reference, const std::vector<double>& other);

}  // namespace mghft::run
