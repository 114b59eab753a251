// Sessions of OpenVINO, on graphs of one operator.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "onnx_bytes.hpp"
#include "onnx_weights.hpp"
#include "ov_session.hpp"
#include "stand_in_session.hpp"
#include "text.hpp"

using namespace mghft;
namespace fs = std::filesystem;

namespace {

using Floats = std::vector<float>;

// Of one sticker, two floats: [batch, 2].
TensorEntry pair_of(const std::string& name) {
    return {name, {-1, 2}, ElementType::kFloat32};
}

std::string value_info(const TensorEntry& entry) {
    std::string dimensions;
    for (const std::int64_t size : entry.shape) {
        dimensions += field(1, size < 0 ? field(2, "batch") : field(1, std::uint64_t(size)));
    }
    constexpr std::uint64_t kFloat = 1;
    return field(1, entry.name) + field(2, field(1, field(1, kFloat) + field(2, dimensions)));
}

// An ONNX file with one operator from its inputs, and initializers by name, to its output.
std::string model(const std::string& operation, const GraphEntry& entry,
                  const std::vector<std::pair<std::string, std::string>>& initializers = {}) {
    std::string node, values;
    for (const TensorEntry& input : entry.inputs) {
        node += field(1, input.name);
        values += field(11, value_info(input));
    }
    for (const auto& [name, tensor] : initializers) {
        node += field(1, name);
        values += field(5, tensor);
    }
    node += field(2, entry.outputs[0].name) + field(4, operation);
    values += field(12, value_info(entry.outputs[0]));
    constexpr std::uint64_t kIrVersion = 8, kOpset = 17;
    return field(1, kIrVersion) + field(7, field(1, node) + field(2, "graph") + values) + field(8, field(2, kOpset));
}

const GraphEntry kVision{{}, {pair_of("image")}, {pair_of("tokens")}};
const GraphEntry kFusion{{}, {pair_of("tokens"), pair_of("text_features")}, {pair_of("logits")}};

// An ONNX file for as long as this lives.
class File {
  public:
    explicit File(const std::string& content) : path(fs::temp_directory_path() / text("mghft-", ::getpid(), ".onnx")) {
        std::ofstream(path, std::ios::binary) << content;
    }
    ~File() { fs::remove(path); }

    fs::path path;
};

OvSession opened(const std::string& content, const GraphEntry& entry, bool overlaps = false) {
    const File file(content);
    return {MappedFile(file.path), file.path, entry, {1, overlaps}};
}

OvSession open(const std::string& operation, const GraphEntry& entry, bool overlaps = false) {
    return opened(model(operation, entry), entry, overlaps);
}

void fill(Session& session, std::size_t index, const Floats& values) {
    void* memory = session.input(index, {std::int64_t(values.size() / 2), 2});
    std::copy(values.begin(), values.end(), static_cast<float*>(memory));
}

Floats result(const Session& session, std::size_t count) {
    const auto* values = static_cast<const float*>(session.output(0));
    return {values, values + count};
}

}  // namespace

TEST_CASE("batches of all sizes run, one after the other") {
    OvSession session = open("Neg", kVision);
    for (const std::size_t batch : {1, 3, 2, 1, 5}) {
        Floats values(2 * batch);
        for (std::size_t index = 0; index < values.size(); ++index) values[index] = float(10 * batch + index);
        fill(session, 0, values);
        session.start();
        session.finish();
        std::transform(values.begin(), values.end(), values.begin(), std::negate<>());
        CHECK(result(session, values.size()) == values);
    }
}

TEST_CASE("the memory of an input is kept, and read again by the next run") {
    OvSession session = open("Neg", kVision);
    fill(session, 0, {1, 2});
    session.start();
    session.finish();
    auto* memory = static_cast<float*>(session.input(0, {1, 2}));
    CHECK(memory[1] == 2);
    memory[1] = 7;
    session.start();
    session.finish();
    CHECK(result(session, 2) == Floats{-1, -7});
}

TEST_CASE("an output of one session is an input of the next, in the same memory") {
    for (const bool overlaps : {false, true}) {
        OvSession vision = open("Neg", kVision, overlaps), fusion = open("Sub", kFusion);
        for (const std::size_t batch : {1, 2, 1}) {
            fill(vision, 0, Floats(2 * batch, 5));
            vision.start();
            fill(fusion, 1, Floats(2 * batch, 1));
            fusion.connect(0, vision, 0);
            fusion.start();
            fusion.finish();
            CHECK(result(fusion, 2 * batch) == Floats(2 * batch, -6));
        }
        *static_cast<float*>(const_cast<void*>(vision.output(0))) = 100;
        fusion.connect(0, vision, 0);
        fusion.start();
        fusion.finish();
        CHECK(result(fusion, 2) == Floats{99, -6});
    }
}

TEST_CASE("a run that nobody waits for ends with its session") {
    OvSession session = open("Neg", kVision, true);
    fill(session, 0, {1, 2});
    session.start();
}

TEST_CASE("float32 is computed in float32, whatever else the CPU has") {
    const TensorEntry square{"weights", {2, 2}, ElementType::kFloat32};
    OvSession session = open("MatMul", {{}, {pair_of("tokens"), square}, {pair_of("logits")}});
    const float more = 1 + std::ldexp(1.0F, -12);  // bfloat16 keeps 8 bits
    fill(session, 0, {more, 0});
    fill(session, 1, {more, 1, 0, 1});
    session.start();
    session.finish();
    CHECK(result(session, 2) == Floats{more * more, more});
}

TEST_CASE("large weights are those of the file, also where another one was there before") {
    constexpr std::size_t kRows = kLargeWeight / (2 * sizeof(float));
    const GraphEntry entry{{}, {{"features", {-1, kRows}, ElementType::kFloat32}}, {pair_of("tokens")}};
    for (const float weight : {1.0F, 2.0F}) {
        const Floats weights(2 * kRows, weight);
        constexpr std::uint64_t kFloat = 1;
        const std::string initializer =
            field(1, kRows) + field(1, 2) + field(2, kFloat) + field(8, "weights") +
            field(9, std::string(reinterpret_cast<const char*>(weights.data()), weights.size() * sizeof(float)));
        OvSession session = opened(model("MatMul", entry, {{"weights", initializer}}), entry);
        auto* features = static_cast<float*>(session.input(0, {1, kRows}));
        std::fill(features, features + kRows, 1.0F);
        session.start();
        session.finish();
        CHECK(result(session, 2) == Floats(2, weight * kRows));
    }
}

TEST_CASE("a file that is replaced while it is loaded is refused") {
    const File file(model("Neg", kVision));
    const MappedFile graph(file.path);
    fs::remove(file.path);
    CHECK_THROWS_WITH_AS(OvSession(graph, file.path, kVision, {}), doctest::Contains("was changed while it was loaded"),
                         Error);
    std::ofstream(file.path) << model("Abs", kVision);
    CHECK_THROWS_WITH_AS(OvSession(graph, file.path, kVision, {}), doctest::Contains("was changed while it was loaded"),
                         Error);
}

TEST_CASE("what is no graph is one sentence") {
    const std::string good = model("Neg", kVision);
    CHECK_THROWS_WITH_AS(opened("no graph", kVision), doctest::Contains("is no ONNX graph; export the bundle"), Error);
    CHECK_THROWS_WITH_AS(opened(good.substr(0, good.size() / 2), kVision), doctest::Contains("is no ONNX graph"), Error);
    CHECK_THROWS_WITH_AS(opened("", kVision), doctest::Contains("other inputs or outputs"), Error);
    std::string said;
    try {
        open("NoSuchOperator", kVision);
    } catch (const Error& error) {
        said = error.what();
    }
    INFO(said);
    CHECK(said.rfind("OpenVINO cannot load ", 0) == 0);
    CHECK(said.find("NoSuchOperator") != said.npos);
    CHECK(said.find("; export the bundle again") != said.npos);
    CHECK(said.find('\n') == said.npos);
    CHECK(said.find("Exception from") == said.npos);
}

TEST_CASE("a graph that is not as the manifest says is refused") {
    const auto refused = [](const GraphEntry& entry) { opened(model("Sub", kFusion), entry); };
    GraphEntry swapped = kFusion, typed = kFusion, shaped = kFusion, fewer = kFusion;
    std::swap(swapped.inputs[0], swapped.inputs[1]);
    typed.outputs[0].type = ElementType::kFloat16;
    shaped.inputs[1].shape = {-1, 3};
    fewer.inputs.pop_back();
    CHECK_THROWS_WITH_AS(refused(swapped), doctest::Contains("the tensor 'tokens' of "), Error);
    CHECK_THROWS_WITH_AS(refused(typed), doctest::Contains("the tensor 'logits' of "), Error);
    CHECK_THROWS_WITH_AS(refused(shaped), doctest::Contains("the tensor 'text_features' of "), Error);
    CHECK_THROWS_WITH_AS(refused(fewer), doctest::Contains("other inputs or outputs"), Error);
}

TEST_CASE("what another runtime computed is not read") {
    OvSession fusion = open("Sub", kFusion);
    StandInVision vision;
    CHECK_THROWS_WITH_AS(fusion.connect(0, vision, 0), doctest::Contains("run all branches alike"), Error);
}
