#pragma once

// The descriptor of a swarm: everything that a newcomer must agree on. It never changes, and its
// hash is the swarm id. It travels as one blob; a newcomer needs nothing else.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "data/manifest.hpp"
#include "peer/terms/class_weights.hpp"
#include "peer/terms/mix_every.hpp"
#include "peer/terms/until.hpp"

namespace starling::peer {

/// Most bytes of an encoded descriptor, its model file and manifest included.
inline constexpr std::size_t kDescriptorMax = std::size_t{16} << 20U;

inline constexpr std::uint16_t kDescriptorMajor = 1;
inline constexpr std::uint16_t kDescriptorMinor = 1;
/// The minor version of a descriptor that carries a model file.
inline constexpr std::uint16_t kDescriptorMinorModelFile = 2;

/// The minor version of a descriptor whose peers wait for each other before they train.
inline constexpr std::uint16_t kDescriptorMinorWait = 3;

/// The minor version of a descriptor whose peers average by time instead of steps.
inline constexpr std::uint16_t kDescriptorMinorMixBy = 4;

/// The minor version of a descriptor whose peers weigh classes.
inline constexpr std::uint16_t kDescriptorMinorClassWeights = 5;

struct Descriptor {
    std::uint16_t major = kDescriptorMajor;
    std::uint16_t minor = kDescriptorMinor;
    std::array<std::uint8_t, 16> nonce{};  ///< makes two swarms with equal settings differ
    std::string model;
    std::string optimizer;
    std::uint32_t batch = 64;
    std::string mix = "pairwise";
    MixEvery mix_every;  ///< older releases read its steps
    std::string encoding = "f32";
    std::uint32_t parts = 1;  ///< an exchange averages one of this many parts of the parameters
    bool sync = false;        ///< peers pair up round by round and wait for each other
    Until until;
    double settle = 1e-3;        ///< relative spread below which settling peers agree
    std::uint64_t seed = 0;      ///< seed of the initial parameters
    std::uint32_t replicas = 2;  ///< peers besides the owner that hold each training shard
    LayoutHash layout;
    bool keyed = false;  ///< members need the swarm key; since minor version 1
    data::Manifest manifest;
    Bytes model_file;            ///< the file of a model that is one; else empty
    std::uint32_t wait_for = 1;  ///< peers that must be ready before any of them trains
    ClassWeighting class_weighting = ClassWeighting::None;
    /// The weight of each class, by all samples that the swarm shares. Of private samples those by this peer's own,
    /// which are never encoded; empty where it has none, or where no class is weighted.
    std::vector<float> class_weights;
};

/// Returns the steps between two exchanges, or 0 if they go by time. Rounds and outer steps are counted.
[[nodiscard]] std::uint32_t steps_between(const Descriptor& descriptor, std::uint32_t outer_steps);

/// Encodes a descriptor (cereal, portable binary). Equal descriptors give equal bytes.
[[nodiscard]] Bytes encode_descriptor(const Descriptor& descriptor);

/// Errors    BadVersion (another major version), Truncated, BadFormat, Oversized, BadValue
[[nodiscard]] Result<Descriptor> decode_descriptor(ByteView bytes);

/// Returns the id of the swarm that this blob describes.
[[nodiscard]] SwarmId swarm_id_of(ByteView descriptor_bytes);

}  // namespace starling::peer
