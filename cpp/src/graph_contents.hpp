// What a bundle's ONNX files may contain: nothing that reads other files or decides how long it runs.
//
// mghft-export writes weights inside of the file, and neither control flow nor functions, so whatever has them comes from
// elsewhere. `mghft_export/bundle/graph_contents.py` refuses the same.
#pragma once

#include <filesystem>
#include <string_view>

namespace mghft {

// Looks through a serialised model. Throws Error where it is no ONNX graph, keeps data in other files, or has control
// flow or functions. `path` is what the error calls it.
void check_graph_contents(std::string_view model, const std::filesystem::path& path);

}  // namespace mghft
