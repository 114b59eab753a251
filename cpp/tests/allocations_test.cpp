// The hot path allocates nothing once it is warm: operator new is counted, outside the sessions' own runs.
//
//     allocations_test [BUNDLE IMAGE]     with a bundle: on ONNX Runtime too, whose own allocations are not counted
#include <cstdio>
#include <utility>

#include "bundle.hpp"
#include "counting_new.hpp"
#include "decode.hpp"
#include "pipeline.hpp"
#include "stand_in_session.hpp"

namespace {

using namespace mghft;

// Runs a function without counting.
template <typename Function>
auto paused(Function function) {
    struct Pause {
        bool before = std::exchange(counting, false);
        ~Pause() { counting = before; }
    } pause;
    return function();
}

// Passes everything on, and does not count what the session underneath does with ONNX Runtime's calls.
class Uncounted final : public Session {
  public:
    explicit Uncounted(std::unique_ptr<Session> session) : session_(std::move(session)) {}

    const std::vector<TensorEntry>& inputs() const override { return session_->inputs(); }
    const std::vector<TensorEntry>& outputs() const override { return session_->outputs(); }
    const std::vector<Profile>& profiles() const override { return session_->profiles(); }
    void* input(std::size_t index, const Shape& shape) override {
        return paused([&] { return session_->input(index, shape); });
    }
    void connect(std::size_t index, Session& source, std::size_t output) override {
        paused([&] { session_->connect(index, *static_cast<Uncounted&>(source).session_, output); });
    }
    void start() override {
        paused([&] { session_->start(); });
    }
    void finish() override {
        paused([&] { session_->finish(); });
    }
    const void* output(std::size_t index) const override { return session_->output(index); }

  private:
    std::unique_ptr<Session> session_;
};

std::unique_ptr<Session> uncounted(std::unique_ptr<Session> session) {
    return std::make_unique<Uncounted>(std::move(session));
}

// Allocations of the second to fourth of four calls: images and texts of sizes that were seen, other texts each time.
long count(Pipeline& pipeline, const ImageView& image, std::size_t classes) {
    constexpr std::size_t kBatch = 3;
    const ImageView images[kBatch] = {image, image, image};
    const std::string_view texts[][kBatch] = {{"one two three one two three one", "two", "one"},
                                              {"two two", "three", "three one"},
                                              {"one three", "one", "two"},
                                              {"one two three one", "two two two", "three two"}};
    std::vector<float> logits(kBatch * classes);
    pipeline.logits(images, texts[0], nullptr, kBatch, logits.data());
    allocations = 0;
    counting = true;
    for (std::size_t call = 1; call < 4; ++call) pipeline.logits(images, texts[call], nullptr, kBatch, logits.data());
    counting = false;
    return allocations;
}

int report(const char* what, long found) {
    std::printf("%s: %ld allocations after warm-up\n", what, found);
    return found == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    // The test itself can fail: an allocation is seen.
    counting = true;
    ::operator delete(::operator new(1));  // calls that no compiler leaves out
    counting = false;
    if (allocations != 1) {
        std::printf("the counter counted %ld allocations, not 1\n", allocations.load());
        return 1;
    }

    const std::vector<std::uint8_t> pixels(64 * 48 * 4, 100);
    Pipeline stand_in(
        stand_in_manifest(), Tokenizer(stand_in_tokenizer(), "tokenizer.json"),
        {std::make_unique<StandInVision>(), std::make_unique<StandInText>(), std::make_unique<StandInFusion>()}, 2);
    int failed = report("stand-ins", count(stand_in, {pixels.data(), 64, 48, 4, 64 * 4}, 2));
    if (argc == 3) {
        const Bundle bundle = load_bundle(argv[1]);
        Branches branches = open_branches(bundle, {});
        Pipeline pipeline(bundle.manifest, bundle.tokenizer(),
                          {uncounted(std::move(branches.vision)), uncounted(std::move(branches.text)),
                           uncounted(std::move(branches.fusion))},
                          2);
        const Pixels image = open_image(argv[2]);
        const ImageView view{image.values.data(), image.width, image.height, image.channels,
                             std::ptrdiff_t{image.width} * image.channels};
        failed += report("ONNX Runtime", count(pipeline, view, bundle.manifest.class_names.size()));
    }
    return failed;
}
