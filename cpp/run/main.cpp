// mghft-run: runs a bundle on devices without Python.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <map>
#include <string>

#include "commands.hpp"
#include "say.hpp"
#include "text.hpp"

namespace {

using mghft::Options;
using mghft::Overlap;

constexpr int kMisuse = 2;  // the exit status of every error that a user can cause

void add_running_options(CLI::App* command, Options& options) {
    command->add_option("--provider", options.provider, "ONNX Runtime's cpu, cuda or tensorrt; or openvino or openvino-bf16, on the CPU.")
        ->capture_default_str();
    command->add_option("--engine", options.engine, "Run engines: a folder, or its name in the bundle's engines/.");
    command->add_flag_callback(
        "--trust-engine", [] { ::setenv("MGHFT_TRUST_ENGINES", "1", 1); },
        "Load engines that were built elsewhere. An engine is a program: only if you trust its builder.");
    command->add_option("--threads", options.threads, "CPU threads of one operator; 0 for the provider's choice.")
        ->capture_default_str();
    const std::map<std::string, Overlap> overlaps = {
        {"auto", Overlap::kAuto}, {"off", Overlap::kOff}, {"on", Overlap::kOn}};
    command->add_option("--overlap", options.overlap, "Text beside vision: auto (not on the CPU), on or off.")
        ->transform(CLI::CheckedTransformer(overlaps, CLI::ignore_case).description(""));
}

int run(int argc, char** argv) {
    CLI::App app("Classify stickers with a bundle of mghft-export, without Python.");
    app.set_version_flag("--version", std::string("mghft-run ") + mghft::version());
    app.require_subcommand(1);

    mghft::run::PredictOptions predict;
    CLI::App* predict_command = app.add_subcommand(
        "predict",
        "Classify each image with its text. Broken images are named and left out; the exit status is 1 then.");
    predict_command->add_option("bundle", predict.bundle)->required();
    predict_command->add_option("images", predict.images, "PNG, JPEG, WebP, GIF, AVIF, BMP, PNM, TIFF.")->required();
    predict_command
        ->add_option("--frame", predict.frame, "Of an animation: first, middle or a number from 0.")
        ->capture_default_str();
    predict_command
        ->add_option("--max-pixels", predict.max_pixels,
                     "Refuse images that take more pixels to decode, some 200 million a second; of an animation all "
                     "frames up to the chosen one count.")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    predict_command->add_option("--text", predict.texts, "The sticker's text; once for all images, or once for each.")
        ->expected(1)
        ->take_all();
    predict_command->add_option("--text-file", predict.text_file, "Plain text, .jsonl (image, text) or SER30K .json.");
    predict_command->add_option("--text-features", predict.text_features, "An .npz of `mghft-export encode-text`.");
    auto* precision =
        predict_command->add_option("--precision", predict.options.precision, "Which of the bundle's precisions.");
    precision->capture_default_str();
    add_running_options(predict_command, predict.options);
    predict_command->add_flag("--json", predict.json, "One JSON object a line.");
    predict_command->add_flag("--logits", predict.logits, "With --json: logits beside the probabilities.");

    mghft::run::BenchOptions bench;
    CLI::App* bench_command =
        app.add_subcommand("bench", "Measure a bundle; the JSON is that of `mghft-bench`, whose `report` reads it.");
    bench_command->add_option("bundle", bench.bundle)->required();
    bench_command->add_option("--batch", bench.batch, "Stickers at once.")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    bench_command->add_option("--part", bench.parts, "vision, vision+fusion, text, whole, pipeline.")
        ->check(CLI::IsMember({"vision", "vision+fusion", "text", "whole", "pipeline"}))
        ->capture_default_str();
    bench_command->add_option("--precision", bench.precisions, "Of the bundle's; all of them by default.");
    bench_command->add_option("--iterations", bench.iterations, "Rounds; least runs of a row.")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    bench_command->add_option("--duration", bench.duration, "Minimum seconds to measure each row.")
        ->check(CLI::Range(0.0, 3600.0))
        ->capture_default_str();
    bench_command->add_option("--calibration", bench.stickers, "A calibration set; made-up stickers without one.");
    add_running_options(bench_command, bench.options);
    bench_command->add_flag("--json", bench.json, "Print JSON instead of a table.");
    bench_command->add_option("-o,--output", bench.output, "Write the JSON to a file.");
    bench_command->add_flag("--on-request", bench.on_request,
                            "Run one part once for each line of the input, for `mghft-bench --runner`.");

    mghft::run::InfoOptions info;
    CLI::App* info_command = app.add_subcommand("info", "What a bundle is.");
    info_command->add_option("bundle", info.bundle)->required();
    info_command->add_flag("--json", info.json, "Print JSON.");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        mghft::run::say("error", mghft::text(error.what(), "; see mghft-run --help"));
        return kMisuse;
    }
    if (predict_command->parsed()) {
        if (!predict.options.engine.empty() && precision->count() > 0) {
            throw mghft::Error(
                "--precision has no meaning for engines, which have their own; leave out one of the two");
        }
        return mghft::run::predict(predict);
    }
    if (bench_command->parsed()) return bench.on_request ? mghft::run::on_request(bench) : mghft::run::bench(bench);
    return mghft::run::info(info);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        mghft::run::say("error", error.what());
    } catch (...) {
        mghft::run::say("error", "something failed that says nothing of itself; run again with --provider cpu");
    }
    return kMisuse;
}
