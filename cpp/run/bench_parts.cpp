#include "bench_parts.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

#include "bundle.hpp"
#include "pipeline.hpp"
#include "views.hpp"

namespace mghft::run {

namespace {

// The texts that the batches encode: one per sticker if all views read the whole text.
std::vector<std::string_view> texts_of(const std::vector<std::vector<BenchSticker>>& batches, bool separate) {
    std::vector<std::string_view> texts;
    for (const auto& batch : batches) {
        for (const BenchSticker& sticker : batch) {
            if (separate) {
                for (const std::string_view view : split_views(sticker.text)) texts.push_back(view);
            } else {
                texts.push_back(sticker.text);
            }
        }
    }
    return texts;
}

// The bytes of a filled input.
std::string copy_of(const void* memory, std::size_t size) {
    return {static_cast<const char*>(memory), size};
}

struct Feed {
    std::string pixels, ids, mask;
};

// A part that is loaded and ready to run.
class PartRun {
  public:
    PartRun(const std::string& path, const Options& options, const std::string& part,
            const std::vector<std::vector<BenchSticker>>& batches)
        : bundle_(load_bundle(path)),
          batches_(batches),
          count_(batches[0].size()),
          separate_(bundle_.manifest.text.separate_views),
          pipeline_(bundle_.manifest, bundle_.tokenizer(), open_branches(bundle_, options), 0),
          logits_(count_ * bundle_.manifest.class_names.size()),
          features_(count_ * pipeline_.sticker_width()),
          encoded_(count_ * (separate_ ? 4 : 1) * pipeline_.width()) {
        if (part != "pipeline") make_feeds(part);
        std::mt19937 random(2);
        std::normal_distribution<float> normal;
        std::generate(features_.begin(), features_.end(), [&] { return normal(random); });
    }

    void vision() {
        start_vision(next());
        pipeline_.vision().finish();
    }
    void vision_and_fusion() {
        start_vision(next());
        pipeline_.fuse(count_, features_.data(), logits_.data());
    }
    void text() { run_text(next()); }
    void whole() {
        const std::size_t number = next();
        start_vision(number);
        run_text(number);
        const std::size_t width = pipeline_.width();
        for (std::size_t row = 0; row < 4 * count_; ++row) {
            const std::size_t from = separate_ ? row : row / 4;
            std::copy_n(encoded_.data() + from * width, width, features_.data() + row * width);
        }
        pipeline_.fuse(count_, features_.data(), logits_.data());
    }
    void pipeline() {
        const auto& batch = batches_[next()];
        images_.clear();
        views_.clear();
        texts_.clear();
        for (const BenchSticker& sticker : batch) {
            images_.push_back(sticker.open());
            texts_.push_back(sticker.text);
        }
        for (const Image& image : images_) views_.push_back(image.view());
        pipeline_.logits(views_.data(), texts_.data(), nullptr, count_, logits_.data());
        const std::size_t classes = bundle_.manifest.class_names.size();
        for (std::size_t row = 0; row < count_; ++row) softmax(logits_.data() + row * classes, classes);
    }

  private:
    std::size_t next() { return turn_++ % batches_.size(); }
    std::size_t rows() const { return count_ * (separate_ ? 4 : 1); }

    Shape image_shape() const {
        return {std::int64_t(count_), 3, bundle_.manifest.image.height, bundle_.manifest.image.width};
    }

    void make_feeds(const std::string& part) {
        // One call prepares all batches, so that all texts get the same length.
        const std::vector<std::string_view> all = texts_of(batches_, separate_);
        feeds_.resize(batches_.size());
        if (part == "text" || part == "whole") {
            pipeline_.fill_text(all.data(), all.size());
            make_text_feeds(all);
        }
        if (part == "text") return;
        const TensorEntry& input = pipeline_.vision().inputs()[0];
        const std::size_t each = std::size_t(image_shape().count()) / count_ * type_size(input.type);
        for (std::size_t number = 0; number < batches_.size(); ++number) {
            feeds_[number].pixels.resize(each * count_);
            for (std::size_t item = 0; item < count_; ++item) {
                const Image image = batches_[number][item].open();
                pipeline_.preprocessor().write(image.view(), input.type, feeds_[number].pixels.data() + item * each);
            }
        }
    }

    void make_text_feeds(const std::vector<std::string_view>& all) {
        length_ = pipeline_.token_length();
        const Shape shape{std::int64_t(all.size()), std::int64_t(length_)};
        const bool ids_first = pipeline_.text().inputs()[0].name == "input_ids";
        const void* ids = pipeline_.text().input(ids_first ? 0 : 1, shape);
        const void* mask = pipeline_.text().input(ids_first ? 1 : 0, shape);
        const std::size_t bytes = rows() * length_ * sizeof(std::int64_t);
        for (std::size_t number = 0; number < feeds_.size(); ++number) {
            feeds_[number].ids = copy_of(static_cast<const char*>(ids) + number * bytes, bytes);
            feeds_[number].mask = copy_of(static_cast<const char*>(mask) + number * bytes, bytes);
        }
    }

    void start_vision(std::size_t number) {
        const std::string& pixels = feeds_[number].pixels;
        std::memcpy(pipeline_.vision().input(0, image_shape()), pixels.data(), pixels.size());
        pipeline_.vision().start();
    }

    void run_text(std::size_t number) {
        const Feed& feed = feeds_[number];
        const Shape shape{std::int64_t(rows()), std::int64_t(length_)};
        const bool ids_first = pipeline_.text().inputs()[0].name == "input_ids";
        std::memcpy(pipeline_.text().input(ids_first ? 0 : 1, shape), feed.ids.data(), feed.ids.size());
        std::memcpy(pipeline_.text().input(ids_first ? 1 : 0, shape), feed.mask.data(), feed.mask.size());
        pipeline_.run_text(rows(), encoded_.data());
    }

    Bundle bundle_;
    std::vector<std::vector<BenchSticker>> batches_;
    std::size_t count_;
    bool separate_;
    Pipeline pipeline_;
    std::vector<float> logits_, features_, encoded_;
    std::vector<Feed> feeds_;
    std::vector<Image> images_;
    std::vector<ImageView> views_;
    std::vector<std::string_view> texts_;
    std::size_t length_ = 0, turn_ = 0;
};

}  // namespace

std::function<void()> prepare_part(const std::string& bundle, const Options& options, const std::string& part,
                                   const std::vector<std::vector<BenchSticker>>& batches) {
    auto run = std::make_shared<PartRun>(bundle, options, part, batches);
    if (part == "vision") return [run] { run->vision(); };
    if (part == "vision+fusion") return [run] { run->vision_and_fusion(); };
    if (part == "text") return [run] { run->text(); };
    if (part == "whole") return [run] { run->whole(); };
    return [run] { run->pipeline(); };
}

std::size_t count_tokens(const std::string& path, const std::vector<std::vector<BenchSticker>>& batches) {
    const Bundle bundle = load_bundle(path);
    const TextEntry& settings = bundle.manifest.text;
    const auto most = std::size_t(settings.max_length);
    if (settings.pools_padding) return most;
    Tokenizer tokenizer = bundle.tokenizer();
    std::vector<std::int64_t> ids;
    std::size_t longest = 0;
    for (const std::string_view text : texts_of(batches, settings.separate_views)) {
        tokenizer.encode(text, most, ids);
        longest = std::max(longest, ids.size());
    }
    return longest;
}

}  // namespace mghft::run
