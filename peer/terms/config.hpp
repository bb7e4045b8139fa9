#pragma once

// One peer's configuration, as flags and file give it, before anything starts.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"
#include "base/instant.hpp"
#include "base/result.hpp"
#include "peer/terms/units.hpp"

namespace starling::peer {

/// How an engine chooses among kernels that compute the same.
enum class Kernels : std::uint8_t {
    Measured,  ///< it takes what is faster here and now
    Fixed,     ///< it takes the same ones always, so that runs of one seed are bit-equal
};

struct PeerConfig {
    std::string name;             ///< what people call this peer; empty: by its id
    std::filesystem::path state;  ///< empty: an identity for this run only, nothing is kept
    std::string listen;           ///< empty: all addresses if we hold a swarm's key, else loopback
    std::string advertise;        ///< empty: the listening address
    std::string http = "127.0.0.1:0";
    std::vector<std::string> http_names;  ///< by which HTTP may be asked, besides addresses
    std::vector<std::string> join;
    std::filesystem::path key;  ///< file of the swarm key, `-` for standard input, empty: none
    std::string dataset;
    std::string model = "cnn";
    std::string optimizer = "sgd";
    std::uint32_t batch = 64;
    std::string mix = "pairwise";
    std::string mix_every = "auto";
    std::string encoding = "f32";
    std::string share = "100%";  ///< share of the parameters that one exchange averages
    bool sync = false;           ///< pair peers round by round and wait for the exchange
    std::string
        upload_limit;  ///< of averaging and transfers, such as 10Mbit or 1.5MB a second; empty: none
    std::uint32_t weight_max = 128;  ///< how many times as heavy one side of a pair may count
    std::string partition = "iid";   ///< how training samples are dealt out
    bool private_data = false;       ///< each peer brings samples of its own, which stay there
    std::filesystem::path
        schema;  ///< of private samples: a file that was agreed on; empty: the founder's
    bool silent_quality = false;  ///< say nothing of loss and quality on them
    std::string augment;          ///< how they are changed at random, as flip,crop=4
    std::string class_weights =
        "none";                  ///< whether rare classes count more: none, balanced, logits
    std::uint32_t wait_for = 1;  ///< peers that must be ready before training begins
    std::string until;
    std::string precision = "f32";
    Kernels kernels = Kernels::Measured;
    std::string device = "auto";
    int threads = 0;  ///< 0: all cores
    std::uint64_t seed = 0;
    bool seed_given = false;
    double settle = 1e-3;
    Duration run_for{};  ///< zero: no limit
    std::string cache;   ///< size of the shards that are kept, as 10GB; empty: no limit
    std::string checkpoint_every = "30s";
    std::size_t keep = 2;         ///< checkpoints, with the newest one
    std::string profile = "lan";  ///< of membership; the same for the whole swarm
    bool membership_only = false;
    bool json = false;
    std::string founder_flags;  ///< given flags of a founder; a joiner is warned about them
};

/// Checks everything that can be checked without opening files or sockets.
/// Errors    Usage, one line: what, where, what to do
[[nodiscard]] Result<void> validate(const PeerConfig& config);

}  // namespace starling::peer
