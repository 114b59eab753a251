// The machine that was measured on, in the fields of mghft-bench.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mghft::run {

nlohmann::ordered_json machine();

// Everything else that the measured numbers depend on.
nlohmann::ordered_json provenance(const std::string& bundle);

}  // namespace mghft::run
