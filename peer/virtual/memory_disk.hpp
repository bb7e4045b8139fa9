#pragma once

// A disk in memory, for simulated peers that restart. It keeps apart what a program sees and what is
// safe. A loss of power takes any part of what is not safe: files may be torn or hold garbage, and
// each change of a name may or may not have happened. All directories exist.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "peer/machine/disk.hpp"

namespace starling::peer_virtual {

class MemoryDisk final : public peer::Disk {
public:
    MemoryDisk() = default;
    MemoryDisk(MemoryDisk&&) = default;
    MemoryDisk& operator=(MemoryDisk&&) = default;
    MemoryDisk(const MemoryDisk&) = delete;
    MemoryDisk& operator=(const MemoryDisk&) = delete;
    ~MemoryDisk() override = default;

    /// Returns the disk as the next life finds it if the power fails now. What a process that is
    /// merely killed has written stays, so a restart without a loss of power keeps using the disk.
    /// Ensures   the new disk has power, the same capacity, and nothing that is not safe
    [[nodiscard]] MemoryDisk crash(Rng& rng) const;

    /// Lets `changes` more changes succeed. After those the power is gone: everything fails and
    /// changes nothing, until crash(). Counted are appends, syncs, and changes of names.
    void lose_power_after(std::uint64_t changes) { changes_left_ = changes; }

    [[nodiscard]] bool has_power() const { return changes_left_ > 0; }

    /// Lets all files together hold at most `bytes`. An append that does not fit writes what fits.
    void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }

    [[nodiscard]] std::vector<std::filesystem::path> files() const;

    Result<std::unique_ptr<peer::InputFile>> open(
        const std::filesystem::path& path, std::uint64_t limit
    ) override;
    Result<std::unique_ptr<peer::OutputFile>> create(
        const std::filesystem::path& path, unsigned mode
    ) override;
    /// Requires  both names in one directory
    Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to)
        override;
    void remove(const std::filesystem::path& path) override;
    Result<void> sync_directory(const std::filesystem::path& directory) override;

private:
    struct File {
        Bytes bytes;
        std::size_t safe = 0;  ///< so many bytes from the front survive a loss of power
    };

    using Names = std::map<std::filesystem::path, std::shared_ptr<File>>;
    /// The names that one change gives to a file, or takes away (null). They change together.
    using NameChange = std::vector<Names::value_type>;

    class Input;
    class Output;

    static void apply(const NameChange& change, Names& names);
    [[nodiscard]] static File after_crash(const File& file, Rng& rng);
    [[nodiscard]] Result<void> note_change(const std::filesystem::path& path);
    [[nodiscard]] Result<void> change_names(NameChange change);
    [[nodiscard]] std::uint64_t free_bytes() const;

    Names names_;
    Names safe_names_;
    std::vector<NameChange> unsafe_changes_;  ///< those in names_ that safe_names_ lacks, in order
    std::uint64_t changes_left_ = ~std::uint64_t{0};
    std::uint64_t capacity_ = ~std::uint64_t{0};
};

}  // namespace starling::peer_virtual
