#include <iostream>
#include <string>

#include "bench_parts.hpp"
#include "commands.hpp"
#include "measuring.hpp"
#include "warning.hpp"

namespace mghft::run {

namespace {

// Writes one line per run: the most memory so far. The reader stops its clock when the line arrives.
void answer() {
    std::cout << static_cast<long long>(peak_memory()) << std::endl;
}

}  // namespace

int on_request(const BenchOptions& options) {
    if (options.parts.size() != 1) throw Error("--on-request runs one part; give --part once");
    if (options.precisions.size() > 1) throw Error("--on-request runs one precision; give --precision once");
    Options chosen = options.options;
    if (!options.precisions.empty()) chosen.precision = options.precisions[0];
    warn_of_precision(options.bundle, chosen);
    const auto batches = sticker_batches(bench_stickers(options.stickers), options.batch);
    const auto run = prepare_part(options.bundle, chosen, options.parts[0], batches);
    answer();
    for (std::string line; std::getline(std::cin, line);) {
        run();
        answer();
    }
    return 0;
}

}  // namespace mghft::run
