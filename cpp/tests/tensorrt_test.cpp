// Native engines, on stand-ins for CUDA and TensorRT that run work as late as CUDA may; no network runs here.
#include <doctest/doctest.h>

#include <thread>

#include "pipeline.hpp"
#include "preprocess.hpp"
#include "stand_in.hpp"
#include "stand_in_session.hpp"
#include "trt_session.hpp"

using namespace mghft;

// What the CUDA kernel does, by the CPU, and copied when the stream gets to it.
void DevicePreprocessor::write(const ImageView& image, ElementType type, void* target, cudaStream_t stream) {
    const std::size_t size = 3 * std::size_t(entry_.height) * std::size_t(entry_.width) * type_size(type);
    copied_.wait();
    void* host = staging_.reserve(size);
    Preprocessor(entry_).write(image, type, host);
    check_cuda(cudaMemcpyAsync(target, host, size, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
    copied_.record(stream);
}

namespace {

const Manifest kManifest = stand_in_manifest();

Branches open_stand_ins(bool images_on_device, bool one_stream) {
    const auto vision_stream = std::make_shared<CudaStream>();
    const auto text_stream = one_stream ? vision_stream : std::make_shared<CudaStream>();
    const StandInVision vision;
    const StandInText text;
    const StandInFusion fusion;
    const auto open = [](const char* plan, const Session& like, const std::shared_ptr<CudaStream>& stream,
                         const TrtSessionOptions& options) {
        const GraphEntry entry{{}, like.inputs(), like.outputs()};
        return std::make_unique<TrtSession>(plan, plan, entry, stream, options);
    };
    TrtSessionOptions options;
    options.keeps_outputs = true;
    if (images_on_device) options.image = &kManifest.image;
    Branches branches;
    branches.vision = open("vision", vision, vision_stream, options);
    branches.text = open("text", text, text_stream, {});
    branches.fusion = open("fusion", fusion, vision_stream, {});
    return branches;
}

// Logits of stickers of one colour each, with texts of other lengths each time.
std::vector<float> classify(Pipeline& pipeline, std::size_t count, int seed) {
    std::vector<std::vector<std::uint8_t>> pixels;
    std::vector<ImageView> images;
    std::vector<std::string> words;
    for (std::size_t number = 0; number < count; ++number) {
        pixels.emplace_back(8 * 8 * 3, static_cast<std::uint8_t>(number * 7 + std::size_t(seed)));
        images.push_back({pixels.back().data(), 8, 8, 3, 24});
        words.push_back(number % 2 == 0 ? "one two " : "three ");
        for (int repeat = 0; repeat < seed % 3; ++repeat) words.back() += "two ";
    }
    const std::vector<std::string_view> texts(words.begin(), words.end());
    std::vector<float> logits(count * 2);
    pipeline.logits(images.data(), texts.data(), nullptr, count, logits.data());
    return logits;
}

Pipeline make_pipeline(Branches branches) {
    return Pipeline(kManifest, Tokenizer(stand_in_tokenizer(), "tokenizer.json"), std::move(branches), 0);
}

}  // namespace

TEST_CASE("engines compute what the same branches compute elsewhere") {
    Pipeline expected = make_pipeline(
        {std::make_unique<StandInVision>(), std::make_unique<StandInText>(), std::make_unique<StandInFusion>()});
    for (const bool images_on_device : {false, true}) {
        for (const bool one_stream : {false, true}) {
            Pipeline pipeline = make_pipeline(open_stand_ins(images_on_device, one_stream));
            int seed = 0;
            for (const std::size_t count : {1, 3, 3, 3, 4, 9, 9, 2, 1, 17}) {
                ++seed;
                CHECK(classify(pipeline, count, seed) == classify(expected, count, seed));
            }
        }
    }
}

TEST_CASE("the first run of a shape is plain, the second is captured, then the graph runs") {
    Pipeline pipeline = make_pipeline(open_stand_ins(false, false));
    classify(pipeline, 3, 0);
    stand_in::counts = {};
    for (int run = 0; run < 5; ++run) classify(pipeline, 3, 0);
    CHECK(stand_in::counts.contexts == 0);
    CHECK(stand_in::counts.captured == 3);
    CHECK(stand_in::counts.launches == 15);
    CHECK(stand_in::counts.plain_runs == 3);  // recorded, not run
}

TEST_CASE("what cannot be captured runs without a graph") {
    stand_in::capture_fails = true;
    Pipeline pipeline = make_pipeline(open_stand_ins(true, false));
    const std::vector<float> first = classify(pipeline, 3, 1);
    stand_in::counts = {};
    for (int run = 0; run < 3; ++run) CHECK(classify(pipeline, 3, 1) == first);
    CHECK(stand_in::counts.launches == 0);
    CHECK(stand_in::counts.plain_runs == 9);
    stand_in::capture_fails = false;
}

TEST_CASE("eight sets of shapes are kept ready") {
    Branches branches = open_stand_ins(false, false);
    auto& text = dynamic_cast<TrtSession&>(*branches.text);
    const auto run = [&](std::int64_t length) {
        for (const std::size_t index : {0, 1}) {
            auto* values = static_cast<std::int64_t*>(text.input(index, {1, length}));
            std::fill_n(values, length, index == 0 ? length : 1);
        }
        text.start();
        text.finish();
        CHECK(static_cast<const float*>(text.output(0))[0] == static_cast<float>(length));
    };
    stand_in::counts = {};
    for (std::int64_t length = 2; length < 10; ++length) run(length);
    CHECK(stand_in::counts.contexts == 8);
    run(2);
    CHECK(stand_in::counts.contexts == 8);
    run(10);  // in the place of 3, which was used longest ago
    run(2);
    CHECK(stand_in::counts.contexts == 9);
    run(3);
    CHECK(stand_in::counts.contexts == 10);
}

TEST_CASE("every session says what TensorRT said, though TensorRT keeps the first one's logger") {
    const StandInVision vision;
    const auto stream = std::make_shared<CudaStream>();
    const GraphEntry entry{{}, vision.inputs(), vision.outputs()};
    const auto open = [&](const char* plan) {
        return std::make_unique<TrtSession>(plan, "vision.engine", entry, stream, TrtSessionOptions{});
    };
    auto first = open("vision");
    const auto second = open("vision");
    CHECK_THROWS_WITH_AS(open("damaged"), doctest::Contains("(magic tag does not match)"), Error);
    first.reset();
    CHECK_THROWS_WITH_AS(open("damaged"), doctest::Contains("(magic tag does not match)"), Error);
}

TEST_CASE("what TensorRT says of a run is passed on") {
    Pipeline pipeline = make_pipeline(open_stand_ins(false, false));
    stand_in::run_fails = true;
    CHECK_THROWS_WITH_AS(classify(pipeline, 2, 0),
                         "TensorRT could not queue the engine (a kernel failed to launch); build it again with "
                         "`mghft-export trt`",
                         Error);
    stand_in::run_fails = false;
    CHECK(classify(pipeline, 2, 0).size() == 4);
}

TEST_CASE("a context that could not be set up is not kept") {
    Branches branches = open_stand_ins(false, false);
    auto& text = dynamic_cast<TrtSession&>(*branches.text);
    const auto run = [&] {
        for (const std::size_t index : {0, 1}) std::fill_n(static_cast<std::int64_t*>(text.input(index, {1, 4})), 4, 1);
        text.start();
        text.finish();
    };
    stand_in::outputs_are_odd = true;
    for (int repeat = 0; repeat < 2; ++repeat) {
        CHECK_THROWS_WITH_AS(run(), doctest::Contains("more than four dimensions"), Error);
    }
    stand_in::outputs_are_odd = false;
    run();
    CHECK(static_cast<const float*>(text.output(0))[1] == 4);
}

TEST_CASE("texts get a few lengths, so that an engine prepares a few shapes") {
    static_assert(next_text_length(16) == 24 && next_text_length(24) == 32 && next_text_length(96) == 128);
    Pipeline engines = make_pipeline(open_stand_ins(false, false));
    Pipeline host = make_pipeline(
        {std::make_unique<StandInVision>(), std::make_unique<StandInText>(), std::make_unique<StandInFusion>()});
    stand_in::counts = {};
    for (const char* words : {"one", "one two", "one two three", "two two one three one", "three three"}) {
        std::vector<float> found[2];
        for (Pipeline* pipeline : {&engines, &host}) {
            const std::vector<std::uint8_t> pixels(8 * 8 * 3, 9);
            const ImageView image{pixels.data(), 8, 8, 3, 24};
            const std::string_view text = words;
            std::vector<float>& logits = found[pipeline == &host];
            logits.resize(2);
            pipeline->logits(&image, &text, nullptr, 1, logits.data());
        }
        CHECK(found[0] == found[1]);
    }
    CHECK(stand_in::counts.contexts == 3);  // one a branch
}

TEST_CASE("a session runs on the GPU that it was opened on, whichever thread calls") {
    REQUIRE(cudaSetDevice(1) == cudaSuccess);
    Pipeline pipeline = make_pipeline(open_stand_ins(true, false));
    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    int device = 0;
    std::thread([&] {
        classify(pipeline, 3, 1);
        (void)cudaGetDevice(&device);
    }).join();
    CHECK(device == 1);
}

TEST_CASE("a kernel that was not built for the GPU says what to build") {
    CHECK_THROWS_WITH_AS(check_launch(cudaErrorNoKernelImageForDevice),
                         "the preprocessing kernel was not built for this GPU; build libmghft again with "
                         "-DMGHFT_CUDA_ARCHITECTURES=87",
                         Error);
    CHECK_THROWS_WITH_AS(check_launch(cudaErrorIllegalAddress), doctest::Contains("the GPU failed"), Error);
}

TEST_CASE("what does not fit is a sentence") {
    const StandInVision vision;
    const auto stream = std::make_shared<CudaStream>();
    GraphEntry entry{{}, vision.inputs(), vision.outputs()};
    CHECK_THROWS_WITH_AS(TrtSession("damaged", "vision.engine", entry, stream, TrtSessionOptions{}),
                         doctest::Contains("vision.engine cannot be loaded (magic tag does not match)"), Error);
    entry.inputs[0].shape[2] = 64;
    CHECK_THROWS_WITH_AS(TrtSession("vision", "vision.engine", entry, stream, TrtSessionOptions{}),
                         doctest::Contains("'image' of vision.engine is not as the manifest says"), Error);
    entry.outputs.clear();
    CHECK_THROWS_AS(TrtSession("vision", "vision.engine", entry, stream, TrtSessionOptions{}), Error);
    Pipeline pipeline = make_pipeline(open_stand_ins(false, false));
    stand_in::memory_is_full = true;
    CHECK_THROWS_WITH_AS(classify(pipeline, 1, 1), doctest::Contains("memory cannot be had"), Error);
    stand_in::memory_is_full = false;
    CHECK(classify(pipeline, 1, 1).size() == 2);
}
