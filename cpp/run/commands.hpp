// The commands of mghft-run.
#pragma once

#include <string>
#include <vector>

#include "mghft/mghft.hpp"

namespace mghft::run {

struct PredictOptions {
    std::string bundle;
    std::vector<std::string> images;
    std::vector<std::string> texts;
    std::string text_file, text_features;
    std::string frame = "middle";  // which frame of an animation
    std::uint64_t max_pixels = std::uint64_t{1} << 31;
    Options options;
    bool json = false, logits = false;
};

struct BenchOptions {
    std::string bundle;
    std::string stickers;  // a calibration set; if empty, made-up stickers
    std::vector<std::string> parts = {"vision+fusion", "pipeline"};
    std::vector<std::string> precisions;
    Options options;
    int batch = 1, iterations = 10;
    double duration = 3;
    bool json = false;
    std::string output;
    bool on_request = false;
};

struct InfoOptions {
    std::string bundle;
    bool json = false;
};

// Each returns the exit status and throws Error.
int predict(const PredictOptions& options);
int bench(const BenchOptions& options);
int on_request(const BenchOptions& options);
int info(const InfoOptions& options);

}  // namespace mghft::run
