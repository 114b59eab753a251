#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "commands.hpp"
#include "say.hpp"
#include "table.hpp"
#include "text.hpp"
#include "text_file.hpp"
#include "warning.hpp"

namespace mghft::run {

namespace {

constexpr std::size_t kBatch = 8;  // stickers that run together; bounds the memory of a long list

using Rows = std::vector<std::pair<std::string, std::string>>;  // image and text

// One text per image: from --text, given once for all or once for each, or from --text-file. If neither is given and
// the model needs no text, the texts are empty.
Rows texts_of_images(const PredictOptions& options) {
    Rows rows;
    if (options.texts.empty() && options.text_file.empty() && read_bundle_info(options.bundle).no_text) {
        say("note", "no texts are given, so the images alone are judged");
        for (const std::string& image : options.images) rows.emplace_back(image, "");
        return rows;
    }
    if (options.texts.empty() == options.text_file.empty()) {
        throw Error("give the stickers' text with either --text or --text-file");
    }
    if (!options.text_file.empty()) {
        const FileTexts found = read_texts(options.text_file);
        for (const std::string& image : options.images) {
            const auto named = found.by_name.find(file_name(image));
            if (found.for_all.empty() && named == found.by_name.end()) {
                throw Error(text(options.text_file, " has no text for ", file_name(image)));
            }
            rows.emplace_back(image, found.for_all.empty() ? named->second : found.for_all);
        }
        return rows;
    }
    if (options.texts.size() != 1 && options.texts.size() != options.images.size()) {
        throw Error(text(options.texts.size(), " texts for ", options.images.size(),
                         " images; give --text once, or once for each image"));
    }
    for (std::size_t number = 0; number < options.images.size(); ++number) {
        rows.emplace_back(options.images[number], options.texts[options.texts.size() == 1 ? 0 : number]);
    }
    return rows;
}

struct Result {
    std::string image;
    Prediction prediction;
};

// Reads and classifies up to a batch of images. Images that cannot be read are reported and left out.
std::vector<Result> classify(Classifier& classifier, const Rows& rows, const TextFeatures* features,
                             const PredictOptions& options) {
    std::vector<Result> results;
    std::vector<Image> images;
    std::vector<std::string_view> texts;
    std::vector<float> values;
    for (const auto& [path, sticker_text] : rows) {
        try {
            images.push_back(Image::open(path, options.frame, options.max_pixels));
        } catch (const Error& error) {
            say("error", error.what());
            continue;
        }
        results.push_back({path, {}});
        texts.push_back(sticker_text);
        if (features != nullptr) {
            const float* row = features->of(file_name(path));
            values.insert(values.end(), row, row + features->row);
        }
    }
    std::vector<ImageView> views;
    for (const Image& image : images) views.push_back(image.view());
    const std::size_t classes = classifier.info().class_names.size();
    std::vector<float> logits(results.size() * classes);
    if (features != nullptr) {
        classifier.logits(views.data(), values.data(), results.size(), logits.data());
    } else {
        classifier.logits(views.data(), texts.data(), results.size(), logits.data());
    }
    for (std::size_t number = 0; number < results.size(); ++number) {
        results[number].prediction = to_prediction(logits.data() + number * classes, classes);
    }
    return results;
}

std::string json_line(const Result& result, const BundleInfo& info, bool with_logits) {
    const Prediction& found = result.prediction;
    nlohmann::ordered_json row = {{"image", result.image}, {"label", info.class_names[found.label]}};
    for (std::size_t index = 0; index < found.probabilities.size(); ++index) {
        row["probabilities"][info.class_names[index]] = found.probabilities[index];
    }
    row["trained"] = info.trained;
    if (with_logits) row["logits"] = found.logits;
    // The JSON is ASCII, so that nothing in it can control a terminal. Bytes of a file name that are not UTF-8 are
    // replaced.
    return row.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<std::string> table_row(const Result& result, const BundleInfo& info) {
    std::vector<std::string> row = {file_name(result.image), info.class_names[result.prediction.label]};
    for (const float share : result.prediction.probabilities) row.push_back(fixed(100.0 * share, 0) + "%");
    return row;
}

}  // namespace

int predict(const PredictOptions& options) {
    if (!options.text_features.empty() && !(options.texts.empty() && options.text_file.empty())) {
        throw Error("give either texts or --text-features, not both");
    }
    Rows rows;
    if (options.text_features.empty()) {
        rows = texts_of_images(options);
    } else {
        for (const std::string& image : options.images) rows.emplace_back(image, "");
    }
    warn_of_precision(options.bundle, options.options);
    Classifier classifier(options.bundle, options.options);
    const BundleInfo& info = classifier.info();
    TextFeatures features;
    if (!options.text_features.empty()) features = classifier.load_text_features(options.text_features);

    std::vector<std::vector<std::string>> cells = {{"sticker", "emotion"}};
    cells[0].insert(cells[0].end(), info.class_names.begin(), info.class_names.end());
    std::size_t classified = 0;
    for (std::size_t start = 0; start < rows.size(); start += kBatch) {
        const auto first = rows.begin() + std::ptrdiff_t(start);
        const Rows part(first, first + std::ptrdiff_t(std::min(kBatch, rows.size() - start)));
        const bool precomputed = !options.text_features.empty();
        for (const Result& result : classify(classifier, part, precomputed ? &features : nullptr, options)) {
            ++classified;
            if (options.json) {
                std::cout << json_line(result, info, options.logits) << "\n";
            } else {
                cells.push_back(table_row(result, info));
            }
        }
    }
    if (!options.json && classified > 0) {
        if (!info.trained) std::cout << "UNTRAINED MODEL: random weights, predictions are meaningless\n";
        std::cout << table(cells, 2);
    }
    return classified < rows.size() ? 1 : 0;
}

}  // namespace mghft::run
