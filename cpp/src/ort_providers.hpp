// ONNX Runtime's execution providers, and how each is set up for this model.
#pragma once

#include <onnxruntime_cxx_api.h>
#include <map>
#include <string>
#include <vector>

#include "manifest.hpp"

namespace mghft {

// Adds the provider "cpu", "cuda" or "tensorrt", and those that it falls back to for operators that it lacks.
// `longest_text` bounds TensorRT's profile. Throws Error if the provider is unknown or cannot be used here.
void add_provider(Ort::SessionOptions& options, const std::string& provider, const std::vector<TensorEntry>& inputs,
                  int longest_text);

// Options of the TensorRT provider: caches on disk, and one profile for 1 to 32 stickers with 8 as its optimum.
std::map<std::string, std::string> tensorrt_options(const std::vector<TensorEntry>& inputs, int longest_text);

}  // namespace mghft
