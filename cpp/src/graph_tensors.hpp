// Compares the tensors of a loaded graph with those in the manifest.
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
    std::optional<ElementType> type;  // empty for a type that no bundle has
};

// Requires that the inputs or outputs of a graph are those of the manifest, in its order. Throws Error, which names
// `graph`.
void require_tensors(const std::string& graph, const std::vector<TensorEntry>& expected,
                     const std::vector<FoundTensor>& found);

// The shape with the batch size as its dynamic dimension; the outputs of all branches have this form.
Shape shape_of_batch(const TensorEntry& entry, std::int64_t batch);

}  // namespace mghft
