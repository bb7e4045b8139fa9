#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace starling::peer {

/// Memory for one frame's payload. A chunk's elements begin 24 bytes after the payload's start
/// (docs/protocol/averaging.md). The elements, not the payload, are aligned to a cache line,
/// because loops over 64-byte vectors run at half speed when each vector crosses a line.
class FrameRoom {
public:
    /// Returns `size` bytes. They are valid until the next call.
    std::span<std::byte> take(std::size_t size) {
        if (!memory_ || size > capacity_) {
            memory_.reset(static_cast<std::byte*>(::operator new(kFront + size, kLine)));
            capacity_ = size;
        }
        return {memory_.get() + kFront, size};
    }

private:
    static constexpr std::align_val_t kLine{64};
    static constexpr std::size_t kFront = 64 - 24;

    struct Free {
        void operator()(std::byte* memory) const { ::operator delete(memory, kLine); }
    };

    std::unique_ptr<std::byte, Free> memory_;
    std::size_t capacity_ = 0;
};

}  // namespace starling::peer
