#include "branches.hpp"

#include <future>

#include "cpu_features.hpp"
#include "engine_folder.hpp"
#include "graph_contents.hpp"
#include "ort_session.hpp"
#include "text.hpp"
#ifdef MGHFT_OPENVINO
#include "ov_session.hpp"
#endif
#ifdef MGHFT_TENSORRT
#include "trt_branches.hpp"
#endif

namespace mghft {

namespace {

bool is_openvino(const std::string& provider) {
    return provider == "openvino" || provider == "openvino-bf16";
}

}  // namespace

bool runs_on_cpu(const std::string& provider) {
    return provider == "cpu" || is_openvino(provider);
}

namespace {

std::unique_ptr<Session> open_graph(const Bundle& bundle, const std::string& branch, const Options& options) {
    const GraphEntry& entry = bundle.graph(branch, options.precision);
    const std::filesystem::path path = bundle.root / entry.file.path;
    const bool overlaps =
        options.overlap == Overlap::kOn || (options.overlap == Overlap::kAuto && !runs_on_cpu(options.provider));
    const bool own_thread = overlaps && branch == "vision";
    const MappedFile graph = bundle.mapped(entry.file);
    check_graph_contents(graph.content(), path);
#ifdef MGHFT_OPENVINO
    if (is_openvino(options.provider)) {
        const bool bfloat16 = options.provider == "openvino-bf16";
        return std::make_unique<OvSession>(graph, path, entry, OvSessionOptions{options.threads, own_thread, bfloat16});
    }
#endif
    OrtSessionOptions settings;
    settings.provider = options.provider;
    settings.threads = options.threads;
    settings.longest_text = bundle.manifest.text.max_length;
    settings.keeps_outputs = branch == "vision";
    settings.own_thread = own_thread;
    return std::make_unique<OrtSession>(graph, path, entry, settings);
}

Branches open_graphs(const Bundle& bundle, const Options& options) {
#ifndef MGHFT_OPENVINO
    if (is_openvino(options.provider)) {
        throw Error(
            "this build has no OpenVINO; build with -DMGHFT_OPENVINO=ON -DOpenVINO_DIR=FOLDER, such as the Python "
            "package's openvino/cmake, or use --provider cpu");
    }
#endif
    if (options.provider == "openvino-bf16" && !cpu_features().bf16) {
        throw Error("this CPU has no instructions for bfloat16; use --provider openvino");
    }
    // All branches load at once: the text branch has by far the most weights, and the vision branch the most nodes.
    const auto opened = [&](const char* branch) {
        return std::async(std::launch::async, open_graph, std::cref(bundle), branch, std::cref(options));
    };
    auto text = opened("text");
    auto fusion = opened("fusion");
    Branches branches;
    branches.vision = open_graph(bundle, "vision", options);
    branches.text = text.get();
    branches.fusion = fusion.get();
    return branches;
}

}  // namespace

Branches open_branches(const Bundle& bundle, const Options& options) {
    if (options.threads < 0) throw Error("threads must be 0 or more; with 0 the provider chooses");
    if (options.engine.empty()) return open_graphs(bundle, options);
    const EngineFolder folder = load_engine_folder(find_engine_folder(bundle, options.engine), bundle);
#ifdef MGHFT_TENSORRT
    return open_engines(bundle, folder, options);
#else
    throw Error(text("this build has no TensorRT, so ", folder.path.string(),
                     " cannot run; build with -DMGHFT_TENSORRT=ON, or run the bundle with ONNX Runtime"));
#endif
}

}  // namespace mghft
