// The tensors of a graph that was loaded, beside those that the manifest says it has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "manifest.hpp"
#include "shape.hpp"

namespace mghft {

struct FoundTensor {
    std::string name;
    std::vector<std::int64_t> shape;  // -1 where a dimension is dynamic
    std::optional<ElementType> type;  // empty for one that no bundle has
};

// The inputs or outputs of a graph must be those of the manifest, in its order. Throws Error; `graph` stands in it.
void require_tensors(const std::string& graph, const std::vector<TensorEntry>& expected,
                     const std::vector<FoundTensor>& found);

// With a batch in place of what is dynamic, as the outputs of all branches are.
Shape shape_of_batch(const TensorEntry& entry, std::int64_t batch);

}  // namespace mghft
