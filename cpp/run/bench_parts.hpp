// What a row of a benchmark runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench_stickers.hpp"

namespace mghft::run {

// Loads a bundle and returns a function that runs a part once, on batches that take turns:
// vision (pixels -> tokens), vision+fusion (pixels and text features -> logits), text (token ids -> text features),
// whole (pixels and token ids -> logits), pipeline (image files and texts -> probabilities; no text is remembered).
std::function<void()> prepare_part(const std::string& bundle, const Options& options, const std::string& part,
                                   const std::vector<std::vector<BenchSticker>>& batches);

// Tokens of the longest text of all batches.
std::size_t count_tokens(const std::string& bundle, const std::vector<std::vector<BenchSticker>>& batches);

}  // namespace mghft::run
