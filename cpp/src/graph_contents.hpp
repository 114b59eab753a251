// Checks that a bundle's ONNX files contain nothing that reads other files or decides how long it runs.
//
// mghft-export writes weights inside the file, and neither control flow nor functions. A graph that has them comes from
// elsewhere. `mghft_export/bundle/graph_contents.py` refuses the same.
#pragma once

#include <filesystem>
#include <string_view>

namespace mghft {

// Checks a serialised model. Throws Error if it is not an ONNX graph, keeps data in other files, or has control flow or
// functions. The message calls it `path`.
void check_graph_contents(std::string_view model, const std::filesystem::path& path);

}  // namespace mghft
