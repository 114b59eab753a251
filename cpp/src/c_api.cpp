#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mghft/mghft.h"
#include "mghft/mghft.hpp"

struct mghft_classifier {
    explicit mghft_classifier(const char* bundle, const mghft::Options& options) : classifier(bundle, options) {}

    mghft::Classifier classifier;
    // Kept between calls.
    std::vector<mghft::ImageView> views;
    std::vector<std::string_view> texts;
};

namespace {

std::string& last_error() {
    thread_local std::string message;
    return message;
}

// Turns every exception into a status, because none may reach C code.
template <typename Function>
int guarded(Function function) noexcept {
    try {
        last_error().clear();
        function();
        return MGHFT_OK;
    } catch (const std::exception& error) {
        try {
            last_error() = error.what();
        } catch (...) {
        }
    }
    return MGHFT_ERROR;
}

void require(bool fits, const char* what) {
    if (!fits) throw mghft::Error(std::string(what) + " is NULL; give what mghft.h says");
}

std::size_t class_count(const mghft_classifier* classifier) {
    return classifier->classifier.info().class_names.size();
}

void take_images(mghft_classifier* classifier, const mghft_image* images, std::size_t count) {
    require(images != nullptr || count == 0, "images");
    classifier->views.clear();
    for (std::size_t number = 0; number < count; ++number) {
        const mghft_image& image = images[number];
        classifier->views.push_back(
            {image.pixels, image.width, image.height, image.channels, static_cast<std::ptrdiff_t>(image.row_bytes)});
    }
}

void take_texts(mghft_classifier* classifier, const char* const* texts, std::size_t count) {
    require(texts != nullptr || count == 0, "texts");
    classifier->texts.clear();
    for (std::size_t number = 0; number < count; ++number) {
        require(texts[number] != nullptr, "a text");
        classifier->texts.emplace_back(texts[number]);
    }
}

void to_probabilities(const mghft_classifier* classifier, std::size_t count, float* values) {
    const std::size_t classes = class_count(classifier);
    for (std::size_t number = 0; number < count; ++number) mghft::softmax(values + number * classes, classes);
}

mghft::Options options_of(const mghft_options* given) {
    mghft_options known;
    mghft_default_options(&known, sizeof known);
    if (given != nullptr) {
        if (given->size == 0)
            throw mghft::Error("the options have no size; fill them with mghft_default_options first");
        std::memcpy(&known, given, std::min(given->size, sizeof known));
    }
    mghft::Options options;
    if (known.precision != nullptr) options.precision = known.precision;
    if (known.provider != nullptr) options.provider = known.provider;
    if (known.engine != nullptr) options.engine = known.engine;
    options.threads = known.threads;
    options.overlap = known.overlap < 0    ? mghft::Overlap::kAuto
                      : known.overlap == 0 ? mghft::Overlap::kOff
                                           : mghft::Overlap::kOn;
    options.kept_texts = known.kept_texts;
    return options;
}

}  // namespace

extern "C" {

const char* mghft_version(void) {
    return mghft::version();
}

const char* mghft_last_error(void) {
    return last_error().c_str();
}

void mghft_default_options(mghft_options* options, size_t size) {
    const mghft::Options defaults;
    const mghft_options known = {size, "fp32", "cpu", nullptr, defaults.threads, -1, defaults.kept_texts};
    if (options != nullptr) std::memcpy(options, &known, std::min(size, sizeof known));
}

int mghft_open(const char* bundle, const mghft_options* options, mghft_classifier** classifier) {
    return guarded([&] {
        require(classifier != nullptr, "classifier");
        *classifier = nullptr;
        require(bundle != nullptr, "bundle");
        *classifier = std::make_unique<mghft_classifier>(bundle, options_of(options)).release();
    });
}

void mghft_close(mghft_classifier* classifier) {
    delete classifier;
}

size_t mghft_class_count(const mghft_classifier* classifier) {
    return classifier == nullptr ? 0 : class_count(classifier);
}

const char* mghft_class_name(const mghft_classifier* classifier, size_t index) {
    if (index >= mghft_class_count(classifier)) return nullptr;
    return classifier->classifier.info().class_names[index].c_str();
}

int mghft_is_trained(const mghft_classifier* classifier) {
    return classifier != nullptr && classifier->classifier.info().trained ? 1 : 0;
}

size_t mghft_feature_count(const mghft_classifier* classifier) {
    return classifier == nullptr ? 0 : 4 * static_cast<size_t>(classifier->classifier.info().feature_width);
}

int mghft_classify_file(mghft_classifier* classifier, const char* path, const char* text, float* probabilities) {
    return guarded([&] {
        require(classifier != nullptr && path != nullptr && text != nullptr && probabilities != nullptr, "an argument");
        const mghft::Image image = mghft::Image::open(path);
        const mghft::ImageView view = image.view();
        const std::string_view whole(text);
        classifier->classifier.logits(&view, &whole, 1, probabilities);
        to_probabilities(classifier, 1, probabilities);
    });
}

int mghft_classify(mghft_classifier* classifier, const mghft_image* images, const char* const* texts, size_t count,
                   float* probabilities) {
    return guarded([&] {
        require(classifier != nullptr && probabilities != nullptr, "an argument");
        take_images(classifier, images, count);
        take_texts(classifier, texts, count);
        classifier->classifier.logits(classifier->views.data(), classifier->texts.data(), count, probabilities);
        to_probabilities(classifier, count, probabilities);
    });
}

int mghft_classify_features(mghft_classifier* classifier, const mghft_image* images, const float* features,
                            size_t count, float* probabilities) {
    return guarded([&] {
        require(classifier != nullptr && features != nullptr && probabilities != nullptr, "an argument");
        take_images(classifier, images, count);
        classifier->classifier.logits(classifier->views.data(), features, count, probabilities);
        to_probabilities(classifier, count, probabilities);
    });
}

int mghft_encode_texts(mghft_classifier* classifier, const char* const* texts, size_t count, float* features) {
    return guarded([&] {
        require(classifier != nullptr && features != nullptr, "an argument");
        take_texts(classifier, texts, count);
        classifier->classifier.encode_texts(classifier->texts.data(), count, features);
    });
}

}  // extern "C"
