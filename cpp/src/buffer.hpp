// Aligned host memory that is kept and grows.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace mghft {

class Buffer {
  public:
    // At least `size` bytes. The address changes only when the memory grows.
    void* reserve(std::size_t size) {
        if (size > size_) {
            memory_.reset();
            size_ = 0;
            memory_.reset(::operator new(size, kAlignment));
            size_ = size;
        }
        return memory_.get();
    }

    void* data() const { return memory_.get(); }
    std::size_t size() const { return size_; }

  private:
    static constexpr std::align_val_t kAlignment{64};  // a cache line; also fast for vector instructions

    struct Delete {
        void operator()(void* memory) const { ::operator delete(memory, kAlignment); }
    };

    std::unique_ptr<void, Delete> memory_;
    std::size_t size_ = 0;
};

}  // namespace mghft
