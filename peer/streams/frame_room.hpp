#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace starling::peer {

/// Room for one frame's payload. A chunk's elements stand 24 bytes behind its start
/// (docs/protocol/averaging.md); they are the ones that lie on a cache line, because loops over
/// 64-byte vectors that each cross a line run at half speed.
class FrameRoom {
public:
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
