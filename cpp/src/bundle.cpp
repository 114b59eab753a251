#include "bundle.hpp"

#include <algorithm>
#include <system_error>

#include "files.hpp"
#include "json.hpp"
#include "text.hpp"
#include "text_features.hpp"
#include "verified_files.hpp"

namespace mghft {

namespace fs = std::filesystem;

namespace {

void check_file(const Bundle& bundle, const FileEntry& entry) {
    const fs::path path = bundle.root / entry.path;
    if (!is_inside(bundle.root, path)) {
        throw Error(
            text((bundle.root / "manifest.json").string(), " names '", entry.path, "', which is outside the bundle"));
    }
    std::error_code error;
    if (!fs::is_regular_file(path, error)) {
        throw Error(text(path.string(), " is missing from the bundle; export the bundle again"));
    }
    const auto size = fs::file_size(path, error);
    if (error || size != static_cast<std::uintmax_t>(entry.bytes)) {
        throw Error(text(path.string(), " has ", size, " bytes, expected ", entry.bytes, "; export the bundle again"));
    }
}

}  // namespace

const GraphEntry& Bundle::graph(const std::string& branch, const std::string& precision) const {
    const auto graphs = manifest.precisions.find(precision);
    if (graphs == manifest.precisions.end()) {
        std::string known;
        for (const auto& [name, unused] : manifest.precisions) known += (known.empty() ? "" : ", ") + name;
        throw Error(text(root.string(), " has no ", precision, " graphs, only ", known));
    }
    const auto found = graphs->second.find(branch);
    if (found == graphs->second.end()) {
        throw Error(text(root.string(), " has no ", branch, " graph in ", precision));
    }
    return found->second;
}

MappedFile Bundle::mapped(const FileEntry& entry) const {
    const fs::path path = root / entry.path;
    MappedFile found;
    try {
        found = MappedFile(path);
    } catch (const std::system_error& error) {
        throw Error(text(path.string(), " cannot be read (", error.code().message(), "); export the bundle again"));
    }
    if (verified_sha256(path, found) != entry.sha256) {
        throw Error(text(path.string(), " was changed after the export; export the bundle again"));
    }
    return found;
}

std::vector<float> Bundle::no_text(std::size_t width) const {
    if (!manifest.no_text) return {};
    const FileEntry& entry = *manifest.no_text;
    return parse_text_features(content(entry), entry.path, text_branch_id(), width).values;
}

std::string Bundle::text_branch_id() const {
    return text(graph("text", "fp32").file.sha256, "/", manifest.tokenizer.sha256, "/",
                manifest.text.separate_views ? "separate" : "joined", "/",
                manifest.text.pools_padding ? "all" : "masked", "/", manifest.text.max_length);
}

BundleInfo Bundle::info() const {
    BundleInfo info;
    info.producer = manifest.producer;
    info.checkpoint = manifest.checkpoint;
    info.trained = manifest.trained;
    info.class_names = manifest.class_names;
    for (const auto& [name, unused] : manifest.precisions) info.precisions.push_back(name);
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root / "engines", error)) {
        const std::string name = entry.path().filename().string();
        if (entry.is_directory(error) && name[0] != '.') info.engines.push_back(name);
    }
    std::sort(info.engines.begin(), info.engines.end());
    info.image_height = manifest.image.height;
    info.image_width = manifest.image.width;
    info.text_views = manifest.text.separate_views ? "separate" : "joined";
    info.text_pooling = manifest.text.pools_padding ? "all" : "masked";
    info.text_length = manifest.text.max_length;
    info.no_text = manifest.no_text.has_value();
    for (const TensorEntry& output : graph("text", "fp32").outputs) {
        if (output.name == "text_features" && output.shape.size() == 2 && output.shape[1] > 0) {
            info.feature_width = static_cast<int>(output.shape[1]);
        }
    }
    return info;
}

Bundle load_bundle(const fs::path& root) {
    const fs::path path = root / "manifest.json";
    Bundle bundle{root, {}};
    std::string content;
    try {
        content = read_file(path);
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::not_a_directory) {
            throw Error(text(root.string(), " is a file, not a bundle; if it is a checkpoint, make a bundle of it with ",
                             "`mghft-export onnx ", root.string(), " -o ", fs::path(root).replace_extension().string(),
                             "-bundle` and pass that folder"));
        }
        if (error.code() == std::errc::no_such_file_or_directory) {
            throw Error(
                text(root.string(), " is not a bundle; make one with `mghft-export onnx -o ", root.string(), "`"));
        }
        throw Error(text(path.string(), " cannot be read (", error.code().message(), "); export the bundle again"));
    }
    try {
        bundle.manifest = parse_manifest(content, root.string());
    } catch (const JsonError& error) {
        throw Error(text(path.string(), " is damaged (", error.what(), "); export the bundle again"));
    }
    check_file(bundle, bundle.manifest.tokenizer);
    if (bundle.manifest.no_text) check_file(bundle, *bundle.manifest.no_text);
    for (const auto& [precision, graphs] : bundle.manifest.precisions) {
        for (const auto& [branch, graph] : graphs) check_file(bundle, graph.file);
    }
    for (const FileEntry& entry : bundle.manifest.other_files) check_file(bundle, entry);
    return bundle;
}

}  // namespace mghft
