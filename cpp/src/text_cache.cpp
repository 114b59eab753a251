#include "text_cache.hpp"

#include <algorithm>
#include <cstring>

namespace mghft {

TextCache::TextCache(std::size_t most, std::size_t width)
    : most_(most), width_(width), buckets_(2 * most + 1, kNone), entries_(most), features_(new float[most * width]) {}

TextCache::Slot& TextCache::bucket(const Digest& key) {
    std::uint64_t number;
    std::memcpy(&number, key.data(), sizeof number);  // any bytes of a SHA-256 are practically random
    return buckets_[number % buckets_.size()];
}

TextCache::Slot TextCache::look_up(const Digest& key) {
    Slot slot = bucket(key);
    while (slot != kNone && entries_[slot].key != key) slot = entries_[slot].chain;
    return slot;
}

const float* TextCache::find(const Digest& key) {
    const Slot slot = look_up(key);
    if (slot == kNone) return nullptr;
    take_out(slot);
    put_newest(slot);
    return features_.get() + std::size_t{slot} * width_;
}

void TextCache::keep(const Digest& key, const float* features) {
    if (most_ == 0 || look_up(key) != kNone) return;
    if (count_ < most_) {
        free_ = static_cast<Slot>(count_++);
    } else {
        forget_oldest();
    }
    const Slot slot = free_;
    Slot& first = bucket(key);
    entries_[slot] = {key, first, kNone, kNone};
    first = slot;
    put_newest(slot);
    std::copy_n(features, width_, features_.get() + std::size_t{slot} * width_);
}

void TextCache::take_out(Slot slot) {
    const Entry& entry = entries_[slot];
    (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
    (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void TextCache::put_newest(Slot slot) {
    entries_[slot].newer = kNone;
    entries_[slot].older = newest_;
    (newest_ == kNone ? oldest_ : entries_[newest_].newer) = slot;
    newest_ = slot;
}

void TextCache::forget_oldest() {
    free_ = oldest_;
    take_out(free_);
    Slot* link = &bucket(entries_[free_].key);
    while (*link != free_) link = &entries_[*link].chain;
    *link = entries_[free_].chain;
}

}  // namespace mghft
