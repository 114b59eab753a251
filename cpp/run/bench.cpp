#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>

#include "bench_parts.hpp"
#include "branches.hpp"
#include "commands.hpp"
#include "machine.hpp"
#include "measuring.hpp"
#include "statistics.hpp"
#include "table.hpp"
#include "text.hpp"
#include "warning.hpp"

namespace mghft::run {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;     // version of mghft-bench's JSON
constexpr double kLimit = 60;  // seconds of timed runs after which a row is not run in later rounds

struct Row {
    std::string name, precision;
    std::optional<MeasuringProcess> process;
    double loaded_bytes = 0, peak_bytes = 0;
    WarmUp warm_up;
    std::vector<double> seconds, round_medians;
    std::string failure;
};

// Runs a step in a row's process; if it fails, only that row fails.
template <typename Step>
void attempt(Row& row, Step step) {
    if (!row.failure.empty()) return;
    try {
        step();
    } catch (const Error& error) {
        row.failure = error.what();
        row.process.reset();
    }
}

void show_progress(const std::string& what, int done, int all) {
    if (::isatty(STDERR_FILENO) == 0) return;
    if (done < all) {
        std::cerr << "\r" << what << ": round " << done + 1 << " of " << all << std::flush;
    } else {
        std::cerr << "\r\033[K" << std::flush;
    }
}

double timed_seconds(const Row& row) {
    return std::accumulate(row.seconds.begin(), row.seconds.end(), 0.0);
}

// The speed-up over the rounds that both rows ran.
SpeedUp shared_speed_up(std::vector<double> reference, std::vector<double> other) {
    const std::size_t rounds = std::min(reference.size(), other.size());
    reference.resize(rounds);
    other.resize(rounds);
    return speed_up(reference, other);
}

Json subject_json(const BenchOptions& options, const std::string& part, const Row& row) {
    const bool engine = !options.options.engine.empty();
    const bool on_gpu = engine || !runs_on_cpu(options.options.provider);
    return {
        {"implementation", "mghft-run"},
        {"part", part},
        {"batch", options.batch},
        {"threads", options.options.threads},
        {"precision", row.precision},
        {"provider", engine ? "cuda" : options.options.provider},
        {"mode", "eager"},
        {"engine", engine ? Json(options.options.engine) : Json()},
        {"length", nullptr},
        {"stickers", options.stickers.empty() ? Json() : Json(options.stickers)},
        {"cuda_graph", true},
        {"io_transfers", part != "vision" || !on_gpu},  // on a GPU, vision's tokens stay there for fusion
    };
}

Json latency_json(const Latency& found) {
    return {
        {"iterations", found.iterations},
        {"median", found.median},
        {"mean", found.mean},
        {"minimum", found.minimum},
        {"p90", found.p90},
        {"p95", found.p95},
        {"p99", found.p99},
        {"variation", found.variation},
        {"stickers_per_second", found.stickers_per_second},
    };
}

Json row_json(const BenchOptions& options, const std::string& part, const Row& row, const Row* reference) {
    Json values = {{"subject", subject_json(options, part, row)}, {"latency", nullptr}, {"speed_up", nullptr}};
    const bool measured = row.failure.empty();
    if (measured) values["latency"] = latency_json(latency(row.seconds, options.batch));
    if (measured && reference != &row) {
        const SpeedUp gain = shared_speed_up(reference->round_medians, row.round_medians);
        values["speed_up"] = {{"median", gain.median}, {"low", gain.low}, {"high", gain.high}};
    }
    values["loaded_bytes"] = std::int64_t(row.loaded_bytes);
    values["peak_bytes"] = std::int64_t(row.peak_bytes);
    values["failure"] = measured ? Json() : Json(row.failure);
    values["warm_up"] = nullptr;
    if (measured) {
        values["warm_up"] = {{"runs", int(row.warm_up.runs)},
                             {"seconds", row.warm_up.seconds},
                             {"first", row.warm_up.first},
                             {"stable", row.warm_up.stable}};
    }
    values["round_ms"] = Json::array();
    for (const double median : row.round_medians) values["round_ms"].push_back(1e3 * median);
    values["alone"] = false;
    for (const char* unknown : {"gpu", "energy", "price", "roofline_share"}) values[unknown] = nullptr;
    values["name"] = row.name;
    return values;
}

std::vector<Row> measure(const BenchOptions& options, const std::string& part,
                         const std::vector<std::string>& precisions,
                         const std::vector<std::vector<BenchSticker>>& batches) {
    std::vector<Row> rows(precisions.size());
    for (std::size_t number = 0; number < rows.size(); ++number) {
        Row& row = rows[number];
        row.precision = precisions[number];
        row.name = options.options.engine.empty() ? "mghft-run " + row.precision
                                                  : "mghft-run engine " + options.options.engine;
        if (options.options.provider != "cpu") row.name += " " + options.options.provider;
        Options chosen = options.options;
        chosen.precision = row.precision;
        row.process.emplace([&, chosen] { return prepare_part(options.bundle, chosen, part, batches); });
    }
    for (Row& row : rows) {
        attempt(row, [&] {
            row.loaded_bytes = row.process->loaded_bytes();
            row.warm_up = row.process->warm_up();
        });
    }
    for (int round = 0; round < options.iterations; ++round) {
        show_progress(part, round, options.iterations);
        for (Row& row : rows) {
            if (timed_seconds(row) > kLimit) continue;
            attempt(row, [&] {
                std::vector<double> times = row.process->burst(options.duration / options.iterations);
                row.seconds.insert(row.seconds.end(), times.begin(), times.end());
                row.round_medians.push_back(percentile(times, 50));
            });
        }
    }
    show_progress(part, options.iterations, options.iterations);
    for (Row& row : rows) attempt(row, [&] { row.peak_bytes = row.process->peak_bytes(); });
    return rows;
}

std::string rows_table(const Json& comparison) {
    std::vector<std::vector<std::string>> cells = {
        {text(comparison["part"].get<std::string>(), ", batch ", comparison["batch"].get<int>()), "median ms", "p95 ms",
         "per s", "speed-up", "memory"}};
    std::string failures;
    for (const Json& row : comparison["rows"]) {
        if (row["latency"].is_null()) {
            failures +=
                text("not run (", row["failure"].get<std::string>(), "): ", row["name"].get<std::string>(), "\n");
            continue;
        }
        const Json& found = row["latency"];
        const bool reference = row["speed_up"].is_null();
        cells.push_back({row["name"], fixed(found["median"], 2), fixed(found["p95"], 2),
                         fixed(found["stickers_per_second"], 1),
                         reference ? "1.0x" : fixed(row["speed_up"]["median"], 2) + "x",
                         fixed(row["peak_bytes"].get<double>() / 1e9, 2) + " GB"});
    }
    return (cells.size() > 1 ? table(cells, 1) : "") + failures;
}

// Writes a temporary file beside the path and renames it, so that nobody ever finds a half-written file.
void write_file(const std::string& path, const std::string& content) {
    const std::string partial = path + ".partial";
    std::ofstream file(partial, std::ios::binary);
    file << content;
    file.close();
    std::error_code error;
    if (file) std::filesystem::rename(partial, path, error);
    if (!file || error) {
        std::filesystem::remove(partial, error);
        throw Error("cannot write " + path + "; choose another place with -o");
    }
}

}  // namespace

int bench(const BenchOptions& given) {
    BenchOptions options = given;
    if (options.options.threads <= 0) options.options.threads = int(std::thread::hardware_concurrency());
    const BundleInfo info = read_bundle_info(options.bundle);  // a bad bundle is one error, not one for each row
    std::vector<std::string> precisions = options.precisions.empty() ? info.precisions : options.precisions;
    for (const std::string& precision : precisions) {
        if (std::find(info.precisions.begin(), info.precisions.end(), precision) == info.precisions.end()) {
            throw Error(text(options.bundle, " has no precision '", precision, "'; mghft-run info lists what it has"));
        }
    }
    if (!options.options.engine.empty()) precisions = {"fp32"};
    for (const std::string& precision : precisions) {
        Options chosen = options.options;
        chosen.precision = precision;
        warn_of_precision(options.bundle, chosen);
    }
    const auto batches = sticker_batches(bench_stickers(options.stickers), options.batch);
    Json record = {
        {"schema", kSchema},
        {"machine", machine()},
        {"provenance", provenance(options.bundle)},
        {"flags",
         {{"iterations", options.iterations},
          {"duration", options.duration},
          {"threads", options.options.threads},
          {"cuda_graph", true},
          {"io_transfers", true},
          {"stickers", options.stickers.empty() ? "made up" : options.stickers}}},
        {"comparisons", Json::array()},
    };
    bool any = false;
    for (const std::string& part : options.parts) {
        const std::vector<Row> rows = measure(options, part, precisions, batches);
        const Row* reference = nullptr;
        Json found = Json::array();
        for (const Row& row : rows) {
            if (reference == nullptr && row.failure.empty()) reference = &row;
            found.push_back(row_json(options, part, row, reference));
        }
        any |= reference != nullptr;
        record["comparisons"].push_back({{"part", part},
                                         {"batch", options.batch},
                                         {"tokens", count_tokens(options.bundle, batches)},
                                         {"machine_rates", nullptr},
                                         {"work", Json::object()},
                                         {"rows", found}});
        if (!options.json) std::cout << rows_table(record["comparisons"].back()) << std::flush;
    }
    if (!options.output.empty()) write_file(options.output, record.dump(1) + "\n");
    if (options.json) std::cout << record.dump(1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    if (!any) throw Error("no row could be measured; the reasons are above");
    return 0;
}

}  // namespace mghft::run
