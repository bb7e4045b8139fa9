#pragma once

// What a peer of a private swarm was last given to train on, in the file `dataset` of its state directory. Nobody
// else has these samples, so a peer that starts again without --dataset reads the same files once more.
//
//   swarm 64 HEX DIGITS
//   samples 64 HEX DIGITS     a hash over the shards that were cut from the files
//   dataset SPEC              up to the end of the file, because a path may have any character
//
// Thread    any; it uses files, but no sockets

#include <filesystem>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "data/manifest.hpp"

namespace starling::peer {

using SamplesHash = Hash256<struct SamplesHashTag>;

struct KeptDataSet {
    SwarmId swarm;
    SamplesHash samples;
    std::string spec;  ///< with absolute paths

    bool operator==(const KeptDataSet&) const = default;
};

/// Returns the file.
[[nodiscard]] std::filesystem::path kept_data_set_path(const std::filesystem::path& state);

/// Returns a SPEC whose paths no longer depend on the directory in which the program runs.
/// Requires  a SPEC that parses
[[nodiscard]] std::string with_absolute_paths(const std::string& dataset);

/// Returns what tells samples from others: equal files that are cut for the same schema give equal hashes.
[[nodiscard]] SamplesHash samples_hash(const data::Manifest& own);

/// Replaces the file; only its owner may read it.
/// Errors    kDiskFull, Io
[[nodiscard]] Result<void> write_kept_data_set(
    const std::filesystem::path& state, const KeptDataSet& kept
);

/// Errors    NotFound, BadFormat, Oversized, Io; each names the file
[[nodiscard]] Result<KeptDataSet> read_kept_data_set(const std::filesystem::path& state);

}  // namespace starling::peer
