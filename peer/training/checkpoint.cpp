#include "peer/training/checkpoint.hpp"

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "peer/crypto/sha256.hpp"
#include "peer/machine/files.hpp"

namespace starling::peer {

namespace {

namespace fs = std::filesystem;

constexpr const char* kNewest = "checkpoint";
constexpr const char* kPrevious = "checkpoint.prev";
constexpr std::uint64_t kMagic = 0x54504b4352415453;  // "STARCKPT" in little-endian order
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 12;
constexpr std::size_t kSectionHeadBytes = 12;
constexpr std::size_t kCountersBytes = 5 * 8;
constexpr std::size_t kAddressesBytesMax =
    kCheckpointAddressesMax * (kCheckpointAddressBytesMax + 2);
constexpr std::size_t kSkipBytes = std::size_t{1} << 16U;

enum class Section : std::uint32_t {
    Descriptor = 1,
    Parameters = 2,
    OptimizerState = 3,
    Counters = 4,
    Addresses = 5,
    Shuffle = 6,
    Learned = 7,
};

constexpr std::uint32_t kSections = 7;
/// Those that each file has. Older releases write neither the seed of the shuffle nor what was learned.
constexpr std::uint32_t kSectionsRequired = 5;

/// Appends to a file and hashes what it appends.
class SealedWriter {
public:
    explicit SealedWriter(AtomicFile& file) : file_(file) {}

    Result<void> put(ByteView bytes) {
        hash_.update(bytes);
        return file_.append(bytes);
    }

    Result<void> put_section(Section kind, ByteView bytes) {
        Bytes head;
        ByteWriter writer(head);
        writer.put(kind);
        writer.put(static_cast<std::uint64_t>(bytes.size()));
        if (auto written = put(head); !written) return written.error();
        return put(bytes);
    }

    Result<void> seal() {
        const Digest digest = hash_.finish();
        return file_.append(std::as_bytes(std::span(digest)));
    }

private:
    AtomicFile& file_;
    Sha256 hash_;
};

Bytes encode_counters(const Checkpoint& checkpoint) {
    Bytes bytes;
    ByteWriter writer(bytes);
    writer.put(checkpoint.position.epoch);
    writer.put(checkpoint.position.next);
    writer.put(checkpoint.samples);
    writer.put(checkpoint.steps);
    writer.put(checkpoint.schedule_step);
    return bytes;
}

Bytes encode_addresses(const Checkpoint& checkpoint) {
    Bytes bytes;
    ByteWriter writer(bytes);
    std::size_t kept = 0;
    for (const auto& address : checkpoint.addresses) {
        if (address.size() > kCheckpointAddressBytesMax) continue;
        if (++kept > kCheckpointAddressesMax) break;
        writer.put_text(address);
    }
    return bytes;
}

Result<void> write_sections(SealedWriter& writer, const Checkpoint& checkpoint) {
    Bytes head;
    ByteWriter head_writer(head);
    head_writer.put(kMagic);
    head_writer.put(kVersion);
    if (auto done = writer.put(head); !done) return done.error();
    const Bytes counters = encode_counters(checkpoint);
    const Bytes addresses = encode_addresses(checkpoint);
    Bytes shuffle;
    if (const auto seed = checkpoint.position.seed) ByteWriter(shuffle).put(*seed);
    Bytes learned;
    if (checkpoint.learned > 0) ByteWriter(learned).put(checkpoint.learned);
    const std::array<std::pair<Section, ByteView>, kSections> sections{{
        {Section::Descriptor, checkpoint.descriptor},
        {Section::Parameters, std::as_bytes(std::span(checkpoint.parameters))},
        {Section::OptimizerState, std::as_bytes(std::span(checkpoint.optimizer_state))},
        {Section::Counters, counters},
        {Section::Addresses, addresses},
        {Section::Shuffle, shuffle},
        {Section::Learned, learned},
    }};
    for (const auto& [kind, bytes] : sections) {
        const bool optional = kind == Section::Shuffle || kind == Section::Learned;
        if (optional && bytes.empty()) continue;
        if (auto done = writer.put_section(kind, bytes); !done) return done.error();
    }
    return writer.seal();
}

/// Reads one checkpoint file, section by section and directly into the fields of a Checkpoint, so
/// that a large model is never in memory twice.
class SealedReader {
public:
    SealedReader(InputFile& file, std::string name)
        : file_(file),
          name_(std::move(name)),
          left_(file.size()) {}

    Result<Checkpoint> run() {
        if (left_ < kHeadBytes + sizeof(Digest))
            return bad(FaultCode::Truncated, "it is too short");
        left_ -= sizeof(Digest);
        if (auto head = read_head(); !head) return head.error();
        while (left_ > 0) {
            if (auto section = read_section(); !section) return section.error();
        }
        Digest stored{};
        if (auto read = file_.read(std::as_writable_bytes(std::span(stored))); !read) {
            return read.error();
        }
        if (stored != hash_.finish()) {
            return bad(FaultCode::Corrupt, "its checksum does not match its contents");
        }
        const auto required = std::count_if(seen_.begin(), seen_.end(), [](std::uint32_t kind) {
            return kind <= kSectionsRequired;
        });
        if (required != kSectionsRequired) return bad(FaultCode::BadFormat, "a section is missing");
        return std::move(checkpoint_);
    }

private:
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const {
        return fail(code, name_ + ": " + what);
    }

    /// Reads bytes and hashes them. Requires out.size() <= left_.
    Result<void> take(std::span<std::byte> out) {
        if (auto read = file_.read(out); !read) return read.error();
        hash_.update(out);
        left_ -= out.size();
        return {};
    }

    Result<void> read_head() {
        std::array<std::byte, kHeadBytes> head{};
        if (auto taken = take(head); !taken) return taken.error();
        ByteReader reader(head);
        if (reader.take<std::uint64_t>() != kMagic) {
            return bad(FaultCode::BadFormat, "not a checkpoint");
        }
        const auto version = reader.take<std::uint32_t>();
        if (version != kVersion) {
            return bad(
                FaultCode::BadVersion,
                "checkpoint version " + std::to_string(version) + "; this program reads version " +
                    std::to_string(kVersion)
            );
        }
        return {};
    }

    Result<void> read_section() {
        if (left_ < kSectionHeadBytes) return bad(FaultCode::Truncated, "it ends inside a section");
        std::array<std::byte, kSectionHeadBytes> head{};
        if (auto taken = take(head); !taken) return taken.error();
        ByteReader reader(head);
        const auto kind = reader.take<std::uint32_t>();
        const auto length = reader.take<std::uint64_t>();
        if (length > left_) return bad(FaultCode::Truncated, "it ends inside a section");
        if (kind >= 1 && kind <= kSections) {
            if (std::find(seen_.begin(), seen_.end(), kind) != seen_.end()) {
                return bad(FaultCode::BadFormat, "a section comes twice");
            }
            seen_.push_back(kind);
        }
        return read_contents(kind, length);
    }

    Result<void> read_contents(std::uint32_t kind, std::uint64_t length) {
        switch (static_cast<Section>(kind)) {
            case Section::Descriptor:
                return read_descriptor(length);
            case Section::Parameters:
                return read_floats(length, checkpoint_.parameters);
            case Section::OptimizerState:
                return read_floats(length, checkpoint_.optimizer_state);
            case Section::Counters:
                return read_counters(length);
            case Section::Addresses:
                return read_addresses(length);
            case Section::Shuffle:
                return read_shuffle(length);
            case Section::Learned:
                return read_learned(length);
        }
        return skip(length);
    }

    Result<void> read_descriptor(std::uint64_t length) {
        if (length > kCheckpointDescriptorMax) {
            return bad(FaultCode::Oversized, "its descriptor is over 16 MiB");
        }
        checkpoint_.descriptor.resize(static_cast<std::size_t>(length));
        return take(checkpoint_.descriptor);
    }

    Result<void> read_floats(std::uint64_t length, std::vector<float>& out) {
        if (length % sizeof(float) != 0) return bad(FaultCode::BadValue, "a part of a float");
        out.resize(static_cast<std::size_t>(length / sizeof(float)));
        return take(std::as_writable_bytes(std::span(out)));
    }

    Result<void> read_counters(std::uint64_t length) {
        if (length != kCountersBytes) return bad(FaultCode::BadValue, "counters of a wrong length");
        std::array<std::byte, kCountersBytes> bytes{};
        if (auto taken = take(bytes); !taken) return taken.error();
        ByteReader reader(bytes);
        checkpoint_.position.epoch = reader.take<std::uint64_t>();
        checkpoint_.position.next = reader.take<std::uint64_t>();
        checkpoint_.samples = reader.take<std::uint64_t>();
        checkpoint_.steps = reader.take<std::uint64_t>();
        checkpoint_.schedule_step = reader.take<std::uint64_t>();
        return {};
    }

    Result<void> read_addresses(std::uint64_t length) {
        if (length > kAddressesBytesMax) return bad(FaultCode::Oversized, "too many addresses");
        Bytes bytes(static_cast<std::size_t>(length));
        if (auto taken = take(bytes); !taken) return taken.error();
        ByteReader reader(bytes);
        auto& addresses = checkpoint_.addresses;
        while (reader.ok() && reader.remaining() > 0) {
            addresses.push_back(reader.take_text());
            if (addresses.size() > kCheckpointAddressesMax ||
                addresses.back().size() > kCheckpointAddressBytesMax) {
                reader.spoil();
            }
        }
        if (!reader.ok()) return bad(FaultCode::BadValue, "damaged addresses");
        return {};
    }

    Result<void> read_shuffle(std::uint64_t length) {
        std::array<std::byte, sizeof(std::uint64_t)> bytes{};
        if (length != bytes.size()) return bad(FaultCode::BadValue, "a seed of a wrong length");
        if (auto taken = take(bytes); !taken) return taken.error();
        checkpoint_.position.seed = ByteReader(bytes).take<std::uint64_t>();
        return {};
    }

    Result<void> read_learned(std::uint64_t length) {
        std::array<std::byte, sizeof(std::uint64_t)> bytes{};
        if (length != bytes.size()) return bad(FaultCode::BadValue, "a count of a wrong length");
        if (auto taken = take(bytes); !taken) return taken.error();
        checkpoint_.learned = ByteReader(bytes).take<std::uint64_t>();
        return {};
    }

    Result<void> skip(std::uint64_t length) {
        std::array<std::byte, kSkipBytes> piece{};
        while (length > 0) {
            const auto now = std::min<std::uint64_t>(length, piece.size());
            const auto part = std::span(piece).first(static_cast<std::size_t>(now));
            if (auto taken = take(part); !taken) return taken.error();
            length -= now;
        }
        return {};
    }

    InputFile& file_;
    std::string name_;
    std::uint64_t left_;  ///< bytes before the checksum that are not read yet
    Sha256 hash_;
    std::vector<std::uint32_t> seen_;
    Checkpoint checkpoint_;
};

Result<Checkpoint> read_one(Disk& disk, const fs::path& path) {
    auto file = disk.open(path, kCheckpointBytesMax);
    if (!file) return file.error();
    return SealedReader(**file, path.string()).run();
}

/// Returns whether a file is as it was written, by its checksum. It holds a small piece at a time: a
/// second copy of the model might not fit into memory.
bool is_whole(Disk& disk, const fs::path& path) {
    const auto file = disk.open(path, kCheckpointBytesMax);
    if (!file || (*file)->size() < kHeadBytes + sizeof(Digest)) return false;
    std::uint64_t left = (*file)->size() - sizeof(Digest);
    std::array<std::byte, kSkipBytes> piece{};
    Sha256 hash;
    while (left > 0) {
        const auto now = std::min<std::uint64_t>(left, piece.size());
        const auto part = std::span(piece).first(static_cast<std::size_t>(now));
        if ((*file)->read(part).has_error()) return false;
        hash.update(part);
        left -= now;
    }
    Digest stored{};
    const auto read = (*file)->read(std::as_writable_bytes(std::span(stored)));
    return read.has_value() && stored == hash.finish();
}

/// Returns the name of the file that was the newest one `back` checkpoints ago.
fs::path older_path(const fs::path& directory, std::size_t back) {
    return directory / (kPrevious + (back > 1 ? std::to_string(back) : std::string()));
}

/// Makes place for the file that becomes the previous one. The oldest of `keep` files gives way.
void make_older(Disk& disk, const fs::path& directory, std::size_t keep) {
    for (std::size_t back = keep - 1; back > 1; --back) {
        const auto from = older_path(directory, back - 1);
        // One that stays where it is will be replaced, so that it is lost; the newest is not.
        if (disk.exists(from)) (void)disk.rename(from, older_path(directory, back));
    }
}

/// Removes what a larger `keep` has left.
void remove_surplus(Disk& disk, const fs::path& directory, std::size_t keep) {
    for (std::size_t back = keep; back < kCheckpointsMax; ++back) {
        const auto path = older_path(directory, back);
        if (disk.exists(path)) disk.remove(path);
    }
}

std::optional<fs::path> oldest(Disk& disk, const fs::path& directory) {
    for (std::size_t back = kCheckpointsMax - 1; back > 0; --back) {
        auto path = older_path(directory, back);
        if (disk.exists(path)) return path;
    }
    return std::nullopt;
}

/// Writes a new file in the place of the newest one, which becomes the previous one if it is sound.
Result<void> write_one(
    Disk& disk,
    const fs::path& directory,
    const Checkpoint& checkpoint,
    bool keeps_newest,
    std::size_t keep
) {
    auto file = AtomicFile::create(disk, directory / kNewest, kPrivateFile);
    if (!file) return file.error();
    SealedWriter writer(*file);
    if (auto written = write_sections(writer, checkpoint); !written) return written.error();
    const bool older = keeps_newest && keep > 1;
    if (older) make_older(disk, directory, keep);
    auto done = file->commit(older ? older_path(directory, 1) : fs::path());
    if (done && keeps_newest) remove_surplus(disk, directory, keep);
    return done;
}

}  // namespace

Result<void> write_checkpoint(
    Disk& disk,
    const fs::path& directory,
    const Checkpoint& checkpoint,
    NewestFile newest,
    std::size_t keep
) {
    STARLING_CHECK(keep >= 1 && keep <= kCheckpointsMax);
    if (checkpoint.descriptor.size() > kCheckpointDescriptorMax) {
        return fail(FaultCode::Oversized, "a checkpoint's descriptor is over 16 MiB");
    }
    const auto path = directory / kNewest;
    const bool sound = newest == NewestFile::Sound || is_whole(disk, path);
    auto written = write_one(disk, directory, checkpoint, sound, keep);
    while (!written && written.error().code == kDiskFull) {
        // One of several files can go: the oldest, or a newest one that is damaged.
        const auto last = oldest(disk, directory);
        if (!disk.exists(path) || !last) break;
        disk.remove(sound ? *last : path);
        written = write_one(disk, directory, checkpoint, sound, keep);
    }
    return written;
}

void remove_torn_checkpoint(Disk& disk, const fs::path& directory) {
    const auto torn = temporary_name(directory / kNewest);
    if (disk.exists(torn)) disk.remove(torn);
}

Result<Checkpoint> read_checkpoint(Disk& disk, const fs::path& directory) {
    auto newest = read_one(disk, directory / kNewest);
    if (newest) return newest;
    // If no file exists, this is an ordinary first start. Otherwise we return the fault of the newest file
    // that exists.
    auto fault = newest.error();
    for (std::size_t back = 1; back < kCheckpointsMax; ++back) {
        const auto path = older_path(directory, back);
        if (!disk.exists(path)) continue;
        auto previous = read_one(disk, path);
        if (previous) {
            // Without a newer file this one is the newest, and nothing is damaged.
            if (fault.code != FaultCode::NotFound) previous->damage = fault;
            return previous;
        }
        if (fault.code == FaultCode::NotFound) fault = previous.error();
    }
    const bool damaged = fault.code == FaultCode::Corrupt || fault.code == FaultCode::Truncated ||
                         fault.code == FaultCode::BadFormat;
    if (damaged) fault.message += "; no other one can be read: move it away to start without";
    return fault;
}

}  // namespace starling::peer
