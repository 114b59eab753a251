// Stickers as inputs of a benchmark: those of a calibration set, or made-up ones without a set.
#pragma once

#include <string>
#include <vector>

#include "mghft/mghft.hpp"

namespace mghft::run {

struct BenchSticker {
    std::string path;     // a file that is read in every run; empty if `content` has the image
    std::string content;  // the content of an image file
    std::string text;

    Image open() const { return path.empty() ? Image::decode(content) : Image::open(path); }
};

// The stickers of a calibration set, or made-up ones without a folder. Throws Error if the set has no stickers.
std::vector<BenchSticker> bench_stickers(const std::string& folder);

// Batches that take turns, so that no run finds its inputs in the CPU's caches; a small set repeats within a batch.
std::vector<std::vector<BenchSticker>> sticker_batches(const std::vector<BenchSticker>& stickers, int batch);

}  // namespace mghft::run
