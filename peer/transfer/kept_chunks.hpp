#pragma once

// The parameters that a newcomer has fetched so far, a file for each chunk, so that one that is killed on
// the way need not fetch them again. Nothing is flushed: a file that a loss of power has torn does not
// have its hash, and its chunk is fetched again. When the parameters are whole, the checkpoint has them.
//
//   magic "STARCHNK", version u32, swarm id 32 B, chunk u32, the chunk as f32, then the SHA-256 of everything
//   before it. All numbers are little-endian. The file's name is the chunk in decimal, with eight digits.
//
// Thread    any, one at a time

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "data/manifest.hpp"
#include "peer/machine/disk.hpp"
#include "peer/transfer/parameter_chunks.hpp"

namespace starling::peer {

class KeptChunks {
public:
    /// `directory` need not exist. Requires  `disk` outlives this
    KeptChunks(
        Disk& disk, std::filesystem::path directory, const SwarmId& swarm, data::HashFunction sha256
    );

    /// Writes into `into` what an earlier life has kept of this swarm, until `enough` says so, and returns
    /// which chunks those are, ascending. Removes what is damaged, torn or of another swarm. Holds one
    /// chunk at a time.
    [[nodiscard]] std::vector<std::uint32_t> load(
        ParameterChunks& into, const std::function<bool()>& enough
    );

    /// Keeps a chunk; one of the same number is replaced.
    /// Errors    kDiskFull, Io: then it is not kept
    [[nodiscard]] Result<void> keep(std::uint32_t chunk, ByteView bytes);

    /// Removes all files.
    void clear();

private:
    [[nodiscard]] std::filesystem::path path_of(std::uint32_t chunk) const;
    [[nodiscard]] std::vector<std::pair<std::uint32_t, std::filesystem::path>> files() const;
    [[nodiscard]] bool read(
        std::uint32_t chunk, const std::filesystem::path& path, ParameterChunks& into
    );
    [[nodiscard]] Bytes head_of(std::uint32_t chunk) const;

    Disk* disk_;
    std::filesystem::path directory_;
    SwarmId swarm_;
    data::HashFunction sha256_;
    bool made_ = false;  ///< the directory is there
};

}  // namespace starling::peer
