#pragma once

// The only thing that training and averaging share: all parameters in f32, flat, cut into chunks of
// 64 Ki floats, each with its own lock and version. Nobody stops the other side or copies the whole
// model. The optimizer updates chunk by chunk; an exchange reads a chunk and adds a delta to it; at
// the start of a step the plan packs each tensor while it holds the locks of all its chunks. Where
// the floats lie is the affair of the store's home.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/rng.hpp"
#include "compute/arena/parameter_home.hpp"

namespace starling::compute {

/// Floats per chunk, and so 256 KiB per payload frame.
inline constexpr std::size_t kChunkElements = std::size_t{64} * 1024;

/// How a parameter starts. UniformFanIn follows PyTorch's default: Kaiming uniform with a =
/// sqrt(5), which is uniform in +-1/sqrt(fan_in) for weights and biases alike. Normal has mean zero
/// and the parameter's deviation. Given copies the values of a model file.
enum class Init : std::uint8_t { Zero, One, UniformFanIn, Normal, Given };

/// One named tensor of the store.
struct ParameterInfo {
    std::string name;
    std::vector<std::int64_t> shape;
    bool buffer = false;  ///< an averaged buffer (batch-norm statistics); has chunks of its own
    Init init = Init::Zero;
    std::int64_t fan_in = 1;
    double deviation = 1.0;                                ///< for Init::Normal
    std::shared_ptr<const std::vector<float>> given = {};  ///< for Init::Given
    bool variance = false;   ///< a buffer that is never below zero; the layout's hash leaves it out
    std::size_t offset = 0;  ///< in floats, filled in by ParameterLayout
    std::size_t elements = 0;  ///< product of shape, filled in by ParameterLayout
};

struct ChunkInfo {
    std::size_t offset = 0;  ///< in floats
    std::size_t elements = 0;
    bool buffer = false;
};

/// Names, shapes, order and chunks of all parameters: fixed by the model, equal on every peer.
class ParameterLayout {
public:
    ParameterLayout() = default;

    /// Places the tensors one after the other, buffers last, and cuts chunks.
    explicit ParameterLayout(std::vector<ParameterInfo> parameters);

    [[nodiscard]] const std::vector<ParameterInfo>& parameters() const { return parameters_; }

    [[nodiscard]] const std::vector<ChunkInfo>& chunks() const { return chunks_; }

    [[nodiscard]] std::size_t elements() const { return elements_; }

    /// Returns the bytes whose SHA-256 is the layout hash: names, shapes, flags, chunk size.
    [[nodiscard]] Bytes canonical_bytes() const;

private:
    std::vector<ParameterInfo> parameters_;
    std::vector<ChunkInfo> chunks_;
    std::size_t elements_ = 0;
};

/// Calls that read or change values wait for chunk locks, except those named `try_*`. All work with
/// any home. update(), visit(), read_tensor() and update_tensor() hand out the floats themselves
/// where the host has their address; else a copy, for the time of the call.
///
/// Thread    any; the network thread calls only `try_*` where it must not wait
class ParameterStore {
public:
    /// Requires  a home of the layout's size; by default the store makes a HostHome
    /// Errors    throws std::bad_alloc
    explicit ParameterStore(ParameterLayout layout, std::unique_ptr<ParameterHome> home = nullptr);

    [[nodiscard]] const ParameterLayout& layout() const { return layout_; }

    /// Draws every parameter anew as its Init says; the same seed gives the same parameters.
    void initialize(Rng rng);

    /// Copies one chunk out as raw floats. Returns false, and copies nothing, when the chunk is
    /// locked.
    /// Requires  a span as long as the chunk, as for the next three calls
    [[nodiscard]] bool try_read(std::size_t chunk, std::span<std::byte> out);
    /// chunk += delta (raw floats), and raises the chunk's version. An element whose sum would not
    /// be finite stays as it was, and variances are clamped to zero and above; buffers that are held stay whole as they
    /// were. Returns false, and
    /// changes nothing, when the chunk is locked.
    [[nodiscard]] bool try_add(std::size_t chunk, ByteView delta);

    /// From now on try_add() leaves buffers as they are, or no longer does so.
    void hold_buffers(bool held) { buffers_held_.store(held, std::memory_order_relaxed); }

    /// Read and write one chunk, for checkpoints and state transfer; they wait for its lock.
    void read(std::size_t chunk, std::span<float> out);
    void write(std::size_t chunk, std::span<const float> values);

    /// Read and write all chunks, one after the other; meanwhile others may change the rest.
    /// Requires  as many floats as the layout has elements
    void read_all(std::span<float> out);
    void write_all(std::span<const float> values);

    /// Returns whether no element is a NaN or an infinity. Looks at all parameters, chunk by chunk.
    [[nodiscard]] bool finite();

    /// Calls update(span of the chunk's floats, the version that they have afterwards) under its
    /// lock, and raises its version.
    template <class Update>
    void update(std::size_t chunk, Update&& update) {
        const auto& info = layout_.chunks()[chunk];
        edit(chunk, info.offset, info.elements, update);
    }

    /// Calls visit(span of the chunk's floats, their version) under its lock.
    template <class Visit>
    void visit(std::size_t chunk, Visit&& visit) {
        const std::scoped_lock lock(locks_[chunk]);
        const auto& info = layout_.chunks()[chunk];
        look(info.offset, info.elements, [&](std::span<const float> floats) {
            visit(floats, version(chunk));
        });
    }

    /// Calls visit(span of the tensor's floats) while holding the locks of all its chunks, taken in
    /// ascending order.
    template <class Visit>
    void read_tensor(const ParameterInfo& parameter, Visit&& visit) {
        const std::size_t first = chunk_of(parameter.offset);
        const std::size_t last = chunk_of(parameter.offset + parameter.elements - 1);
        for (std::size_t c = first; c <= last; ++c) locks_[c].lock();
        look(parameter.offset, parameter.elements, visit);
        for (std::size_t c = first; c <= last; ++c) locks_[c].unlock();
    }

    /// Calls change(span of the piece, its offset in the tensor) chunk by chunk under each chunk's
    /// lock, and raises their versions.
    template <class Change>
    void update_tensor(const ParameterInfo& parameter, Change&& change) {
        const auto end = parameter.offset + parameter.elements;
        for (auto at = parameter.offset; at < end;) {
            const auto c = chunk_of(at);
            const auto& info = layout_.chunks()[c];
            const auto stop = std::min(end, info.offset + info.elements);
            edit(c, at, stop - at, [&](std::span<float> piece, std::uint64_t) {
                change(piece, at - parameter.offset);
            });
            at = stop;
        }
    }

    [[nodiscard]] std::uint64_t version(std::size_t chunk) const {
        return versions_[chunk].load(std::memory_order_relaxed);
    }

    /// Returns a number that changes whenever one of the tensor's chunks does.
    [[nodiscard]] std::uint64_t version_of(const ParameterInfo& parameter) const;

    /// Returns the chunk that holds the float at `offset`.
    [[nodiscard]] std::size_t chunk_of(std::size_t offset) const;

private:
    /// Calls change(span of floats of the chunk, the version that they have afterwards) under the
    /// chunk's lock, and raises its version.
    template <class Change>
    void edit(std::size_t chunk, std::size_t at, std::size_t count, Change&& change) {
        const std::scoped_lock lock(locks_[chunk]);
        const auto next = version(chunk) + 1;
        if (host_ != nullptr) {
            change(std::span(host_ + at, count), next);
        } else {
            std::vector<float> floats(count);
            home_->read(at, std::as_writable_bytes(std::span(floats)));
            change(std::span(floats), next);
            home_->write(at, std::as_bytes(std::span(floats)));
        }
        versions_[chunk].store(next, std::memory_order_relaxed);
    }

    /// Calls visit(span of floats).
    /// Requires  the caller holds the locks of their chunks
    template <class Visit>
    void look(std::size_t at, std::size_t count, Visit&& visit) {
        if (host_ != nullptr) {
            visit(std::span<const float>(host_ + at, count));
            return;
        }
        std::vector<float> floats(count);
        home_->read(at, std::as_writable_bytes(std::span(floats)));
        visit(std::span<const float>(floats));
    }

    ParameterLayout layout_;
    std::unique_ptr<ParameterHome> home_;
    float* host_;  ///< the home's floats, if the host has their address
    std::unique_ptr<std::mutex[]> locks_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> versions_;
    std::atomic<bool> buffers_held_{false};
};

}  // namespace starling::compute
