#pragma once

// A disk in memory, for simulated peers that restart. It keeps apart what a program sees and what is
// safe. A loss of power takes any part of what is not safe: files may be torn or hold garbage, and
// each change of a name may or may not have happened. Directories that nobody has made exist and are
// safe; one that is made is lost, with all that lies in it, until its name is safe.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
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

    /// Returns all disks that the next life may find: one for each choice of the changes of names that
    /// are not safe, and for each file that is not safe one that is torn at its safe end, torn in the
    /// middle, full of garbage, and whole. Their number doubles with each change: sync often.
    [[nodiscard]] std::vector<MemoryDisk> crashes() const;

    /// Lets `changes` more changes succeed. After those the power is gone: everything fails and
    /// changes nothing, until crash(). Counted are appends, syncs, and changes of names.
    void lose_power_after(std::uint64_t changes) { changes_left_ = changes; }

    [[nodiscard]] bool has_power() const { return changes_left_ > 0; }

    /// Lets `changes` more changes find room: appends, new names. After those nothing finds any, as if
    /// another program took at once whatever is freed.
    void fill_up_after(std::uint64_t changes) { room_left_ = changes; }

    /// Nothing finds room any more, or again. Unlike the number of fill_up_after() the next life keeps this.
    void set_full(bool full) { full_ = full; }

    /// Nothing can be changed any more, or again, as after errors of a real disk; the next life keeps this.
    void set_read_only(bool read_only) { read_only_ = read_only; }

    /// Changes a byte in the middle of a file, as a disk does that is about to fail.
    /// Errors    NotFound (no such file, or it is empty)
    Result<void> corrupt(const std::filesystem::path& path);

    /// Lets the disk know no second names, as exFAT does.
    void refuse_links() { links_ = false; }

    /// Lets the disk write nothing in place, as file systems do that copy on write.
    void refuse_overwrites() { overwrites_ = false; }

    /// Lets all files together hold at most `bytes`. An append that does not fit writes what fits.
    void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }

    Result<std::unique_ptr<peer::InputFile>> open(
        const std::filesystem::path& path, std::uint64_t limit
    ) override;
    Result<std::unique_ptr<peer::OutputFile>> create(
        const std::filesystem::path& path, unsigned mode
    ) override;
    /// Requires  both names in one directory
    Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to)
        override;
    Result<void> link(const std::filesystem::path& from, const std::filesystem::path& to) override;
    Result<void> overwrite(const std::filesystem::path& path, ByteView bytes) override;
    void remove(const std::filesystem::path& path) override;
    bool exists(const std::filesystem::path& path) override;
    std::vector<std::filesystem::path> list(const std::filesystem::path& directory) override;

    Result<void> make_directory(const std::filesystem::path& directory, unsigned mode) override;

    Result<void> sync_directory(const std::filesystem::path& directory) override;

private:
    struct File {
        Bytes bytes;
        std::size_t safe = 0;      ///< so many bytes from the front survive a loss of power
        std::optional<Bytes> old;  ///< what an overwrite that is not safe yet has replaced
        bool directory = false;
    };

    using Names = std::map<std::filesystem::path, std::shared_ptr<File>>;
    /// The names that one change gives to a file, or takes away (null). They change together.
    using NameChange = std::vector<Names::value_type>;
    /// What a loss of power makes of the files that are not safe.
    enum class Damage { Torn, Halved, Garbage, None };

    class Input;
    class Output;

    static void apply(const NameChange& change, Names& names);
    [[nodiscard]] static File after_crash(const File& file, Rng& rng);
    [[nodiscard]] static File damaged(const File& file, Damage damage);
    static void drop_lost_directories(const Names& all, Names& names);
    template <class Each>
    [[nodiscard]] MemoryDisk next_life(Names kept, Each each) const;
    [[nodiscard]] Result<void> note_change(const std::filesystem::path& path);
    [[nodiscard]] Result<void> take_room(const std::filesystem::path& path);
    [[nodiscard]] Result<void> change_names(NameChange change);
    [[nodiscard]] std::uint64_t free_bytes() const;

    Names names_;
    Names safe_names_;
    std::vector<NameChange> unsafe_changes_;  ///< those in names_ that safe_names_ lacks, in order
    std::uint64_t changes_left_ = ~std::uint64_t{0};
    std::uint64_t room_left_ = ~std::uint64_t{0};
    std::uint64_t capacity_ = ~std::uint64_t{0};
    bool links_ = true;
    bool overwrites_ = true;
    bool full_ = false;
    bool read_only_ = false;
};

}  // namespace starling::peer_virtual
