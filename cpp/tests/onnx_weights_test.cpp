// Large weights leave an ONNX model, and the model says where they are.
#include <doctest/doctest.h>

#include "onnx_bytes.hpp"
#include "onnx_weights.hpp"

using namespace mghft;

namespace {

std::string initializer(const std::string& name, const std::string& raw_data) {
    return field(5, varint(1 << 3) + varint(raw_data.size() / 4) + varint(2 << 3) + varint(1) + field(8, name) +
                        field(9, raw_data));
}

const std::string kLarge(kLargeWeight, 'w');
const std::string kSmall = initializer("small", "12345678");
const std::string kNode = field(1, "a node");

std::string model() {
    return varint(1 << 3) + varint(8) + field(7, kNode + initializer("large", kLarge) + kSmall + field(2, "graph")) +
           field(8, "opset");
}

}  // namespace

TEST_CASE("large weights are said to be where they are in the file") {
    const std::string whole = model();
    const auto structure = without_weights(whole, "text.onnx");
    REQUIRE(structure);
    CHECK(structure->size() < 300);
    const std::string place = field(13, field(1, "location") + field(2, "text.onnx")) +
                              field(13, field(1, "offset") + field(2, std::to_string(whole.find(kLarge)))) +
                              field(13, field(1, "length") + field(2, std::to_string(kLarge.size()))) +
                              varint(14 << 3) + varint(1);
    CHECK(structure->find(field(8, "large") + place) != std::string::npos);
    for (const std::string& kept : {kNode, kSmall, field(2, "graph"), field(8, "opset")}) {
        CHECK(structure->find(kept) != std::string::npos);
    }
}

TEST_CASE("a model without large weights stays as it is") {
    const std::string whole = varint(1 << 3) + varint(8) + field(7, kNode + kSmall);
    CHECK(without_weights(whole, "text.onnx") == whole);
}

TEST_CASE("what is cut short is no model") {
    const std::string whole = model();
    for (std::size_t size : {whole.size() - 1, whole.size() / 2, std::size_t{100}, std::size_t{1}}) {
        CHECK_FALSE(without_weights(whole.substr(0, size), "text.onnx"));
    }
    CHECK_FALSE(without_weights(field(7, initializer("x", kLarge).insert(4, "\x0b")), "text.onnx"));
}
