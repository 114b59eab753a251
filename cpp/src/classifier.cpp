#include <algorithm>
#include <cmath>
#include <future>
#include <new>
#include <numeric>
#include <utility>

#include "decode.hpp"
#include "mghft/mghft.hpp"
#include "pipeline.hpp"
#include "text.hpp"
#include "text_features.hpp"

namespace mghft {

namespace {

// Runs a function and turns whatever it throws into an Error.
template <typename Function>
auto translated(Function function) {
    try {
        return function();
    } catch (const Error&) {
        throw;
    } catch (const std::bad_alloc&) {
        throw Error("memory is short; classify fewer or smaller images");
    } catch (const std::exception& error) {
        throw Error(text("a library failed (", error.what(), "); check that the bundle's files can be read"));
    }
}

Pipeline open_pipeline(const Bundle& bundle, const Options& options) {
    // The tokenizer is read while the branches load.
    auto tokenizer = std::async(std::launch::async, &Bundle::tokenizer, &bundle);
    Branches branches = open_branches(bundle, options);
    return {bundle.manifest, tokenizer.get(), std::move(branches), options.kept_texts};
}

}  // namespace

const char* version() {
    return MGHFT_VERSION;
}

// Builds an Image of decoded pixels.
class ImageAccess {
  public:
    static Image make(Pixels pixels) {
        Image image;
        image.pixels_ = std::move(pixels.values);
        image.width_ = pixels.width;
        image.height_ = pixels.height;
        image.channels_ = pixels.channels;
        return image;
    }
};

Image Image::open(const std::string& path, const std::string& frame, std::uint64_t max_pixels) {
    return translated([&] { return ImageAccess::make(open_image(path, frame, max_pixels)); });
}

Image Image::decode(std::string_view content, const std::string& name, const std::string& frame,
                    std::uint64_t max_pixels) {
    return translated([&] { return ImageAccess::make(decode_image(content, name, frame, max_pixels)); });
}

ImageView Image::view() const {
    return {pixels_.data(), width_, height_, channels_, std::ptrdiff_t{width_} * channels_};
}

BundleInfo read_bundle_info(const std::string& bundle) {
    return translated([&] { return load_bundle(bundle).info(); });
}

const float* TextFeatures::of(const std::string& file_name) const {
    if (names.size() == 1 && names[0].empty()) return values.data();
    // If a name comes twice, its last row counts, as in Python's dictionary.
    const auto found = std::find(names.rbegin(), names.rend(), file_name);
    if (found == names.rend()) {
        throw Error(text("there are no text features for ", file_name, "; encode its text with --text-file"));
    }
    return values.data() + std::size_t(names.rend() - found - 1) * row;
}

class Classifier::Impl {
  public:
    Impl(const std::string& path, const Options& options)
        : bundle(load_bundle(path)), info(bundle.info()), pipeline(open_pipeline(bundle, options)) {
        info.feature_width = static_cast<int>(pipeline.width());  // the width of this precision
        pipeline.set_no_text(bundle.no_text(pipeline.width()));
    }

    Bundle bundle;
    BundleInfo info;
    Pipeline pipeline;
};

Classifier::Classifier(const std::string& bundle, const Options& options)
    : impl_(translated([&] { return std::make_unique<Impl>(bundle, options); })) {}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;

const BundleInfo& Classifier::info() const {
    return impl_->info;
}

std::vector<Prediction> Classifier::predict(const std::vector<Image>& images, const std::vector<std::string>& texts) {
    if (images.size() != texts.size()) {
        throw Error(text(texts.size(), " texts for ", images.size(), " images; give one for each"));
    }
    std::vector<ImageView> views;
    for (const Image& image : images) views.push_back(image.view());
    const std::vector<std::string_view> texts_seen(texts.begin(), texts.end());
    const std::size_t classes = impl_->info.class_names.size();
    std::vector<float> found(images.size() * classes);
    logits(views.data(), texts_seen.data(), images.size(), found.data());
    std::vector<Prediction> predictions;
    for (std::size_t number = 0; number < images.size(); ++number) {
        predictions.push_back(to_prediction(found.data() + number * classes, classes));
    }
    return predictions;
}

void Classifier::logits(const ImageView* images, const std::string_view* texts, std::size_t count, float* output) {
    translated([&] { impl_->pipeline.logits(images, texts, nullptr, count, output); });
}

void Classifier::logits(const ImageView* images, const float* features, std::size_t count, float* output) {
    translated([&] { impl_->pipeline.logits(images, nullptr, features, count, output); });
}

void Classifier::encode_texts(const std::string_view* texts, std::size_t count, float* output) {
    translated([&] { impl_->pipeline.encode_texts(texts, count, output); });
}

TextFeatures Classifier::load_text_features(const std::string& path) const {
    return translated(
        [&] { return mghft::load_text_features(path, impl_->bundle.text_branch_id(), impl_->pipeline.width()); });
}

Prediction to_prediction(const float* logits, std::size_t classes) {
    Prediction prediction;
    prediction.logits.assign(logits, logits + classes);
    prediction.probabilities = prediction.logits;
    softmax(prediction.probabilities.data(), classes);
    prediction.label = std::size_t(std::max_element(logits, logits + classes) - logits);
    return prediction;
}

void softmax(float* values, std::size_t count) {
    if (count == 0) return;
    const float most = *std::max_element(values, values + count);
    std::transform(values, values + count, values, [&](float value) { return std::exp(value - most); });
    const float sum = std::accumulate(values, values + count, 0.0F);
    std::transform(values, values + count, values, [&](float value) { return value / sum; });
}

}  // namespace mghft
