#include "graph_contents.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "mghft/mghft.hpp"
#include "protobuf.hpp"
#include "text.hpp"

namespace mghft {

namespace {

// Field numbers of onnx.proto.
constexpr std::uint64_t kModelGraph = 7, kModelFunctions = 25;
constexpr std::uint64_t kGraphNode = 1, kGraphInitializer = 5, kGraphSparseInitializer = 15;
constexpr std::uint64_t kNodeOperator = 4, kNodeAttribute = 5;
constexpr std::uint64_t kAttributeTensor = 5, kAttributeGraph = 6, kAttributeTensors = 10, kAttributeGraphs = 11;
constexpr std::uint64_t kAttributeSparseTensor = 22, kAttributeSparseTensors = 23;
constexpr std::uint64_t kTensorExternalData = 13, kTensorDataLocation = 14;

constexpr std::array<std::string_view, 4> kControlFlow = {"If", "Loop", "Scan", "SequenceMap"};
constexpr const char* kSparse = "has sparse weights";

struct Malformed {};

template <typename Visit>
void visit_fields(std::string_view message, Visit visit) {
    while (!message.empty()) {
        const auto field = read_field(message);
        if (!field) throw Malformed{};
        visit(*field);
    }
}

void check_tensor(std::string_view tensor, std::string& problem) {
    visit_fields(tensor, [&](const Field& field) {
        if (field.number == kTensorExternalData || (field.number == kTensorDataLocation && field.value != 0)) {
            problem = "keeps weights in another file, which no hash covers";
        }
    });
}

void check_attribute(std::string_view attribute, std::string& problem) {
    visit_fields(attribute, [&](const Field& field) {
        if (field.number == kAttributeGraph || field.number == kAttributeGraphs) {
            problem = "has a graph inside of a node";
        } else if (field.number == kAttributeSparseTensor || field.number == kAttributeSparseTensors) {
            problem = kSparse;
        } else if (field.number == kAttributeTensor || field.number == kAttributeTensors) {
            check_tensor(field.bytes, problem);
        }
    });
}

void check_node(std::string_view node, std::string& problem) {
    visit_fields(node, [&](const Field& field) {
        if (field.number == kNodeAttribute) check_attribute(field.bytes, problem);
    });
    visit_fields(node, [&](const Field& field) {
        const auto known = std::find(kControlFlow.begin(), kControlFlow.end(), field.bytes);
        if (field.number == kNodeOperator && known != kControlFlow.end()) {
            problem = text("has control flow (", std::string(*known), ")");
        }
    });
}

std::string problem_of(std::string_view model) {
    std::string problem;
    int graphs = 0;
    visit_fields(model, [&](const Field& field) {
        if (field.number == kModelFunctions) problem = "has functions of its own";
        if (field.number != kModelGraph || field.wire_type != kBytes) return;
        ++graphs;
        visit_fields(field.bytes, [&](const Field& part) {
            if (!problem.empty()) return;
            if (part.number == kGraphSparseInitializer) problem = kSparse;
            if (part.number == kGraphInitializer) check_tensor(part.bytes, problem);
            if (part.number == kGraphNode) check_node(part.bytes, problem);
        });
    });
    if (graphs != 1 && problem.empty()) throw Malformed{};
    return problem;
}

}  // namespace

void check_graph_contents(std::string_view model, const std::filesystem::path& path) {
    std::string problem;
    try {
        problem = problem_of(model);
    } catch (const Malformed&) {
        throw Error(text(path.string(), " is no ONNX graph; export the bundle again"));
    }
    if (!problem.empty()) throw Error(text(path.string(), " ", problem, "; export the bundle again"));
}

}  // namespace mghft
