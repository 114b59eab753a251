// Text features of texts that were seen before, in memory: the ones used last are kept.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sha256.hpp"

namespace mghft {

// All memory is taken at the start, so that nothing is allocated later; pages that hold nothing are never touched.
class TextCache {
  public:
    // `most` texts with features of `width` floats.
    TextCache(std::size_t most, std::size_t width);

    // The features of a text by its hash; null where it is not kept.
    const float* find(const Digest& key);

    // Keeps features, in the place of those that were used longest ago.
    void keep(const Digest& key, const float* features);

  private:
    using Slot = std::uint32_t;
    static constexpr Slot kNone = ~Slot{0};

    struct Entry {
        Digest key{};
        Slot chain = kNone;  // the next with the same bucket
        Slot newer = kNone, older = kNone;
    };

    Slot& bucket(const Digest& key);
    Slot look_up(const Digest& key);
    void take_out(Slot slot);  // of the order of use
    void put_newest(Slot slot);
    void forget_oldest();

    std::size_t most_, width_, count_ = 0;
    std::vector<Slot> buckets_;
    std::vector<Entry> entries_;
    std::unique_ptr<float[]> features_;
    Slot newest_ = kNone, oldest_ = kNone, free_ = kNone;
};

}  // namespace mghft
