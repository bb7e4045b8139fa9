#pragma once

// What a driver of graphics cards does for us: memory, one ordered queue, copies, kernels by name.
// Everything is queued in order; reads wait. A failure is remembered: every later call fails with
// the same fault, because what is queued behind it means nothing.
//
// Thread    compute

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/check.hpp"
#include "base/result.hpp"
#include "compute/device/device_span.hpp"
#include "compute/gpu/library_product.hpp"

namespace starling::compute::gpu {

/// One argument of a kernel: a place in memory, or a value that is handed over by its bytes.
class Argument {
public:
    Argument() = default;

    /// A place in a device's memory, with an offset in elements of four bytes.
    Argument(DeviceMemory* memory, std::int64_t offset) : memory_(memory) { store(offset); }

    template <class T>

    requires std::is_trivially_copyable_v<T> &&
        (!std::is_pointer_v<T>)explicit Argument(const T& value) {
        store(value);
    }

    [[nodiscard]] DeviceMemory* memory() const { return memory_; }

    [[nodiscard]] std::span<const std::byte> bytes() const {
        return std::span(bytes_).first(size_);
    }

private:
    template <class T>
    void store(const T& value) {
        static_assert(sizeof(T) <= 80);
        std::memcpy(bytes_.data(), &value, sizeof(T));
        size_ = sizeof(T);
    }

    DeviceMemory* memory_ = nullptr;
    std::array<std::byte, 80> bytes_{};
    std::size_t size_ = 0;
};

/// A grid of groups of threads.
struct Grid {
    std::array<std::size_t, 3> groups{1, 1, 1};
    std::array<std::size_t, 3> threads{1, 1, 1};  ///< of a group
};

/// One run of a kernel.
struct Launch {
    const char* kernel = "";  ///< a literal
    Grid grid;
    std::vector<Argument> arguments;
};

class Backend {
public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    /// Returns memory that holds zeros.
    /// Errors    Oversized: there is not so much; Device
    [[nodiscard]] virtual Result<std::unique_ptr<DeviceMemory>> allocate(std::size_t floats) = 0;

    /// Copy bytes from and to the host, and wait until the host may use its span again. A read that fails
    /// leaves the span as it was.
    /// Errors    Device
    [[nodiscard]] virtual Result<void> write(
        std::span<const std::byte> from, DeviceMemory& to, std::size_t offset_bytes
    ) = 0;
    [[nodiscard]] virtual Result<void> read(
        DeviceMemory& from, std::size_t offset_bytes, std::span<std::byte> to
    ) = 0;

    /// Queues a kernel. A grid without groups does nothing.
    /// Errors    Device
    [[nodiscard]] virtual Result<void> launch(const Launch& launch) = 0;

    /// Waits until all that is queued is done.
    /// Errors    Device
    [[nodiscard]] virtual Result<void> finish() = 0;

    /// Returns whether a library multiplies here, too.
    [[nodiscard]] virtual bool has_library() const { return false; }

    /// Queues a product by the library.
    /// Requires  has_library()
    /// Errors    Unsupported, Oversized: the library cannot, and the backend goes on; Device
    [[nodiscard]] virtual Result<void> multiply(const LibraryProduct& product);

    /// Which shapes were measured, and whether the library was faster.
    [[nodiscard]] std::map<LibraryShape, bool>& choices() { return choices_; }

private:
    std::map<LibraryShape, bool> choices_;
};

inline Result<void> Backend::multiply(const LibraryProduct& /*product*/) {
    STARLING_UNREACHABLE("a backend without a library");
}

}  // namespace starling::compute::gpu
