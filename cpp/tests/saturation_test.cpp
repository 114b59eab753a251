// Which bundles are warned of, on which CPUs.
#include <doctest/doctest.h>

#include "saturation.hpp"
#include "stand_in_session.hpp"

using namespace mghft;

namespace {

Manifest made_with(bool sums_in_16_bits) {
    Manifest manifest = stand_in_manifest();
    manifest.quantization["int8"] = {sums_in_16_bits};
    manifest.quantization["int8-fp16"] = {false};
    return manifest;
}

constexpr CpuFeatures kOldX86{true, false, false}, kAvx512{true, true, false}, kAvx{true, false, true},
    kOther{false, false, false};

}  // namespace

TEST_CASE("int8 of an earlier version is warned of on x86 without VNNI") {
    const Manifest early = made_with(false);
    CHECK(saturation_warning(early, "int8", kOldX86).value() ==
          "int8 of this bundle was made by an earlier version, and its products can overflow on this CPU, which has no "
          "VNNI; make it again with `mghft-export onnx --precision int8`");
    CHECK_FALSE(saturation_warning(early, "int8", kAvx512));
    CHECK_FALSE(saturation_warning(early, "int8", kAvx));
    CHECK_FALSE(saturation_warning(early, "int8", kOther));
}

TEST_CASE("what cannot overflow is not warned of") {
    CHECK_FALSE(saturation_warning(made_with(true), "int8", kOldX86));
    CHECK_FALSE(saturation_warning(made_with(false), "fp32", kOldX86));
    CHECK_FALSE(saturation_warning(made_with(false), "int8-fp16", kOldX86));  // for TensorRT
    CHECK_FALSE(saturation_warning(stand_in_manifest(), "int8", kOldX86));    // which says nothing of how it was made
}
