// Any bytes as manifest.json and as build.json.
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine_folder.hpp"
#include "json.hpp"
#include "manifest.hpp"
#include "mghft/mghft.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string content(reinterpret_cast<const char*>(data), size);
    try {
        mghft::parse_manifest(content, "fuzz");
    } catch (const mghft::JsonError&) {
    } catch (const mghft::Error&) {
    }
    try {
        const mghft::EngineFolder folder = mghft::parse_build_info(content, "fuzz");
        mghft::check_gpu(folder, {"A", 86});
        mghft::check_version(folder, "tensorrt", "10.3.0.26");
    } catch (const mghft::JsonError&) {
    } catch (const mghft::Error&) {
    }
    return 0;
}
