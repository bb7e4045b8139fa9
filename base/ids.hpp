#pragma once

// Strong identifiers that modules share. Two hashes of different meaning cannot be compared with or
// converted into each other. All are plain values without invariants.

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

namespace starling {

/// A 256-bit hash with a meaning. `Tag` makes each meaning a type of its own.
template <class Tag>
struct Hash256 {
    std::array<std::uint8_t, 32> bytes{};

    auto operator<=>(const Hash256&) const = default;

    // The compiler turns this into four words; of the default it makes a call.
    bool operator==(const Hash256& other) const {
        return std::memcmp(bytes.data(), other.bytes.data(), sizeof bytes) == 0;
    }

    [[nodiscard]] bool is_zero() const { return *this == Hash256{}; }

    /// Returns the first eight bytes as a number, for tags, seeds and hash tables.
    [[nodiscard]] std::uint64_t prefix64() const {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < 8; ++i) value = (value << 8U) | bytes[i];
        return value;
    }

    /// Returns all 64 hexadecimal digits.
    [[nodiscard]] std::string hex() const { return hex_prefix(32); }

    /// Returns the first eight hexadecimal digits. They tell peers apart in logs and tables.
    [[nodiscard]] std::string short_string() const { return hex_prefix(4); }

private:
    [[nodiscard]] std::string hex_prefix(std::size_t count) const {
        static constexpr char kDigits[] = "0123456789abcdef";
        std::string text;
        text.reserve(2 * count);
        for (std::size_t i = 0; i < count; ++i) {
            text.push_back(kDigits[bytes[i] >> 4U]);
            text.push_back(kDigits[bytes[i] & 15U]);
        }
        return text;
    }
};

/// A peer: SHA-256 of its Ed25519 public key.
using PeerId = Hash256<struct PeerIdTag>;
/// A swarm: SHA-256 of its descriptor.
using SwarmId = Hash256<struct SwarmIdTag>;
/// The names, shapes and order of all parameters of a model.
using LayoutHash = Hash256<struct LayoutHashTag>;
/// A data shard: SHA-256 of its bytes.
using ShardId = Hash256<struct ShardIdTag>;

/// Orders statements about one member. `epoch` is the boot epoch: it rises with every start of the
/// peer, which keeps it in its state directory. `counter` rises with every refutation in one life.
struct Incarnation {
    std::uint64_t epoch = 0;
    std::uint64_t counter = 0;

    auto operator<=>(const Incarnation&) const = default;
};

/// Names one averaging exchange. The initiator draws it at random; it is unique per pair with
/// overwhelming odds.
struct ExchangeId {
    std::uint64_t value = 0;

    auto operator<=>(const ExchangeId&) const = default;
};

}  // namespace starling

template <class Tag>
struct std::hash<starling::Hash256<Tag>> {
    std::size_t operator()(const starling::Hash256<Tag>& id) const noexcept {
        return static_cast<std::size_t>(id.prefix64());
    }
};
