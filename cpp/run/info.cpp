#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "table.hpp"
#include "text.hpp"

namespace mghft::run {

namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text.empty() ? "none" : text;
}

}  // namespace

int info(const InfoOptions& options) {
    const BundleInfo info = read_bundle_info(options.bundle);
    if (options.json) {
        const nlohmann::ordered_json values = {
            {"bundle", options.bundle},
            {"producer", info.producer},
            {"checkpoint", info.checkpoint},
            {"trained", info.trained},
            {"class_names", info.class_names},
            {"image", {{"height", info.image_height}, {"width", info.image_width}}},
            {"text", {{"views", info.text_views}, {"pooling", info.text_pooling}, {"max_length", info.text_length}}},
            {"feature_width", info.feature_width},
            {"precisions", info.precisions},
            {"engines", info.engines},
        };
        std::cout << values.dump(1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << "\n";
        return 0;
    }
    std::cout << table(
        {
            {"bundle", options.bundle},
            {"made by", info.producer},
            {"checkpoint", info.checkpoint + (info.trained ? "" : " (untrained: random weights)")},
            {"classes", joined(info.class_names)},
            {"image", text(info.image_width, " x ", info.image_height)},
            {"text",
             text(info.text_views, " views, ", info.text_pooling, " tokens pooled, at most ", info.text_length)},
            {"features", text("4 x ", info.feature_width)},
            {"precisions", joined(info.precisions)},
            {"engines", joined(info.engines)},
        },
        2);
    return 0;
}

}  // namespace mghft::run
