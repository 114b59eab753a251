#include "graph_tensors.hpp"

#include "mghft/mghft.hpp"
#include "text.hpp"

namespace mghft {

namespace {

bool is_as_expected(const TensorEntry& expected, const FoundTensor& found) {
    if (found.name != expected.name || found.type != expected.type || found.shape.size() != expected.shape.size()) {
        return false;
    }
    for (std::size_t index = 0; index < found.shape.size(); ++index) {
        const bool both_dynamic = found.shape[index] < 0 && expected.shape[index] < 0;
        if (found.shape[index] != expected.shape[index] && !both_dynamic) return false;
    }
    return true;
}

}  // namespace

void require_tensors(const std::string& graph, const std::vector<TensorEntry>& expected,
                     const std::vector<FoundTensor>& found) {
    if (found.size() != expected.size()) {
        throw Error(text(graph, " has other inputs or outputs than the manifest says; export the bundle again"));
    }
    for (std::size_t index = 0; index < found.size(); ++index) {
        if (is_as_expected(expected[index], found[index])) continue;
        throw Error(text("the tensor '", found[index].name, "' of ", graph,
                         " is not as the manifest says; export the bundle again"));
    }
}

Shape shape_of_batch(const TensorEntry& entry, std::int64_t batch) {
    Shape shape;
    shape.rank = entry.shape.size();
    for (std::size_t place = 0; place < shape.rank; ++place) {
        shape.sizes[place] = entry.shape[place] < 0 ? batch : entry.shape[place];
    }
    return shape;
}

}  // namespace mghft
