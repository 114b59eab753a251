// The three branches as TensorRT engines.
#pragma once

#include "branches.hpp"
#include "engine_folder.hpp"

namespace mghft {

// Throws Error if the engines are for another version or GPU, or no GPU can be used.
Branches open_engines(const Bundle& bundle, const EngineFolder& folder, const Options& options);

}  // namespace mghft
