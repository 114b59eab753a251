// The hash that identifies files and texts.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace mghft {

using Digest = std::array<std::uint8_t, 32>;

// Allocates nothing after its first call in a thread.
Digest sha256(std::string_view first, std::string_view second = {});

std::string hexadecimal(const Digest& digest);

}  // namespace mghft
