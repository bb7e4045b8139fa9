#pragma once

// Where the floats of a parameter store lie. The store keeps layout, locks and versions, and asks
// its home for the floats: HostHome has them in the host's memory. Another home may keep them where
// the host has no address of them, in a device's memory or in a file; it is reached by copies.

#include <cstddef>
#include <memory>
#include <span>

#include "base/bytes.hpp"

namespace starling::compute {

/// The floats of a store, flat in the layout's order; zeros at first.
///
/// A call is about a range of floats, which it names by its first one. A home does not fail: one
/// whose hardware may fail keeps what remains on the host, and its device says what has happened at
/// the next step.
///
/// Requires  ranges that lie in the home
/// Thread    any. The store holds the locks of all chunks that a range touches, so calls for one
///           float never meet; calls for others do
class ParameterHome {
public:
    /// Units    size in floats
    explicit ParameterHome(std::size_t size) : size_(size) {}

    ParameterHome(const ParameterHome&) = delete;
    ParameterHome& operator=(const ParameterHome&) = delete;
    virtual ~ParameterHome() = default;

    [[nodiscard]] std::size_t size() const { return size_; }

    /// Returns where the floats lie in the host's memory, as long as the home lives; nullptr when
    /// they do not.
    [[nodiscard]] virtual float* host() { return nullptr; }

    /// Copy raw floats out and in, from and to any address.
    virtual void read(std::size_t at, std::span<std::byte> out) = 0;
    virtual void write(std::size_t at, ByteView values) = 0;

    /// Adds raw floats, which may lie at any address, to those from `at` on. An element whose sum
    /// would not be finite stays as it was.
    ///
    /// This and the next two copy out and in unless the home knows better.
    virtual void add(std::size_t at, ByteView delta);

    /// Raises what is below zero to zero.
    virtual void clamp(std::size_t at, std::size_t count);

    /// Returns whether no element is a NaN or an infinity.
    [[nodiscard]] virtual bool finite(std::size_t at, std::size_t count);

private:
    std::size_t size_;
};

/// One block of the host's memory, aligned to cache lines.
class HostHome final : public ParameterHome {
public:
    /// Errors    throws std::bad_alloc
    explicit HostHome(std::size_t size);

    [[nodiscard]] float* host() override { return arena_.get(); }

    void read(std::size_t at, std::span<std::byte> out) override;
    void write(std::size_t at, ByteView values) override;
    void add(std::size_t at, ByteView delta) override;
    void clamp(std::size_t at, std::size_t count) override;
    [[nodiscard]] bool finite(std::size_t at, std::size_t count) override;

private:
    struct Free {
        void operator()(float* p) const;
    };

    std::unique_ptr<float[], Free> arena_;
};

}  // namespace starling::compute
