// Reads build.json and decides whether its engines may be loaded here, before anything is deserialised. So engines that
// do not fit give a sentence and not a crash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bundle.hpp"

namespace mghft {

struct Gpu {
    std::string name;
    int sm = 0;  // compute capability: 87
    int multiprocessors = 0;  // 0 if not known
    std::int64_t memory = 0;  // all bytes; 0 if not known
};

struct EngineEntry {
    FileEntry file;
    FileEntry onnx;  // the graph that it was built from
};

struct EngineFolder {
    std::filesystem::path path;
    std::string backend;  // "tensorrt" or "rtx"
    std::string version;  // "10.3.0", or "10.3.0.26"
    std::string precision;
    std::string command;       // the command that builds it again
    std::vector<int> targets;  // compute capabilities, for rtx
    std::optional<Gpu> gpu;    // the GPU that it was built on
    bool version_compatible = false;
    bool strip_weights = false;
    std::string hardware_compatible;             // "", "ampere+" or "same-sm"
    std::map<std::string, EngineEntry> engines;  // by branch

    // The content of a branch's engine, after a check against its hash. Throws Error.
    std::string content(const std::string& branch) const;
};

// Parses the content of a build.json. Throws JsonError, and Error for another schema version.
EngineFolder parse_build_info(const std::string& content, const std::filesystem::path& path);

// A folder of engines, by its path or its name in the bundle. Throws Error, which names the existing ones.
std::filesystem::path find_engine_folder(const Bundle& bundle, const std::string& engine);

// Reads build.json, and checks that files have their sizes and belong to the bundle's graphs. Throws Error.
EngineFolder load_engine_folder(const std::filesystem::path& folder, const Bundle& bundle);

// Both throw Error if the engines are not for this library or this GPU; the message names both sides.
void check_version(const EngineFolder& folder, const std::string& backend, const std::string& version);
void check_gpu(const EngineFolder& folder, const Gpu& gpu);

// An engine is a program. It is loaded only if `mghft-export trt` built it here for this user, or if the environment
// has MGHFT_TRUST_ENGINES=1; else this throws Error.
void check_trust(const EngineFolder& folder);

// Version-compatible engines bring code for the host, so the user must allow them with MGHFT_ALLOW_HOST_CODE=1 in the
// environment. Throws Error without it.
void check_host_code(const EngineFolder& folder);

}  // namespace mghft
