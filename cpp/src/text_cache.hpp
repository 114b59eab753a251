// Keeps the features of earlier texts in memory: those of the most recently used texts.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sha256.hpp"

namespace mghft {

// It allocates all memory at the start and none later. Pages without content are never touched.
class TextCache {
  public:
    // Room for `most` texts with features of `width` floats.
    TextCache(std::size_t most, std::size_t width);

    // The features of a text by its hash; null if they are not kept.
    const float* find(const Digest& key);

    // Keeps features; if the cache is full, they replace the least recently used ones.
    void keep(const Digest& key, const float* features);

  private:
    using Slot = std::uint32_t;
    static constexpr Slot kNone = ~Slot{0};

    struct Entry {
        Digest key{};
        Slot chain = kNone;  // the next entry in the same bucket
        Slot newer = kNone, older = kNone;
    };

    Slot& bucket(const Digest& key);
    Slot look_up(const Digest& key);
    void take_out(Slot slot);  // removes it from the order of use
    void put_newest(Slot slot);
    void forget_oldest();

    std::size_t most_, width_, count_ = 0;
    std::vector<Slot> buckets_;
    std::vector<Entry> entries_;
    std::unique_ptr<float[]> features_;
    Slot newest_ = kNone, oldest_ = kNone, free_ = kNone;
};

}  // namespace mghft
