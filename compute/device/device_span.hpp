#pragma once

// Memory of a device, and ranges of it. An address of a device is no pointer: OpenCL need not share
// memory with the host, so a range names its memory and a place in it, and the host cannot read it
// by accident. Only a device that computes in the host's memory turns one into a span
// (host_memory.hpp); all others copy.

#include <cstddef>

#include "base/check.hpp"

namespace starling::compute {

/// Memory of a device. It holds zeros at first and is freed with the object.
class DeviceMemory {
public:
    /// Units    size in floats
    explicit DeviceMemory(std::size_t size) : size_(size) {}

    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;
    virtual ~DeviceMemory() = default;

    [[nodiscard]] std::size_t size() const { return size_; }

private:
    std::size_t size_;
};

/// A range of floats in a device's memory. It does not keep the memory alive.
class DeviceSpan {
public:
    DeviceSpan() = default;

    /// Requires  the range lies in the memory
    DeviceSpan(DeviceMemory& memory, std::size_t offset, std::size_t count)
        : memory_(&memory),
          offset_(offset),
          count_(count) {
        STARLING_CHECK(offset <= memory.size() && count <= memory.size() - offset);
    }

    explicit DeviceSpan(DeviceMemory& memory) : DeviceSpan(memory, 0, memory.size()) {}

    /// Requires  not the range of a default constructor
    [[nodiscard]] DeviceMemory& memory() const {
        STARLING_CHECK(memory_ != nullptr);
        return *memory_;
    }

    [[nodiscard]] std::size_t offset() const { return offset_; }

    [[nodiscard]] std::size_t size() const { return count_; }

    [[nodiscard]] bool empty() const { return count_ == 0; }

    /// Requires  at + count <= size()
    [[nodiscard]] DeviceSpan subspan(std::size_t at, std::size_t count) const {
        STARLING_CHECK(at <= count_ && count <= count_ - at);
        auto part = *this;
        part.offset_ += at;
        part.count_ = count;
        return part;
    }

    [[nodiscard]] DeviceSpan first(std::size_t count) const { return subspan(0, count); }

    [[nodiscard]] DeviceSpan last(std::size_t count) const {
        return subspan(count_ - count, count);
    }

private:
    DeviceMemory* memory_ = nullptr;
    std::size_t offset_ = 0;
    std::size_t count_ = 0;
};

}  // namespace starling::compute
