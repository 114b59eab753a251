// Stickers as inputs of a benchmark: of a calibration set, or made up where there is none.
#pragma once

#include <string>
#include <vector>

#include "mghft/mghft.hpp"

namespace mghft::run {

struct BenchSticker {
    std::string path;     // of a file that is read in every run; empty where the content is here
    std::string content;  // of an image file
    std::string text;

    Image open() const { return path.empty() ? Image::decode(content) : Image::open(path); }
};

// The stickers of a calibration set, or made-up ones. Throws Error where there are none.
std::vector<BenchSticker> bench_stickers(const std::string& folder);

// Batches that take turns, so that no run finds its inputs in the caches; a small set is repeated inside a batch.
std::vector<std::vector<BenchSticker>> sticker_batches(const std::vector<BenchSticker>& stickers, int batch);

}  // namespace mghft::run
