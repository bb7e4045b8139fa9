#pragma once

// NumPy's archives: a zip whose members are arrays. Of zip this reads what numpy.savez and
// numpy.savez_compressed write: stored and deflated members, with zip64's sizes.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/arrays/npy.hpp"
#include "data/arrays/zip_member.hpp"
#include "data/formats/byte_stream.hpp"
#include "data/formats/random_bytes.hpp"

namespace starling::data {

inline constexpr std::size_t kZipMembersMax = 1024;
inline constexpr std::size_t kNpzDirectoryBytesMax = std::size_t{1} << 20U;

/// Thread    any, if each member is read by one at a time
class NpzFile {
public:
    /// Reads the archive's directory. `bytes` must outlive this object and what it opens.
    /// Errors    BadFormat (not a zip; two members of one name; a name with `..`, `/`, `\` or a control
    ///           character), Unsupported (encrypted, a symbolic link, another compression, a member
    ///           that is not `.npy`), Oversized, Truncated, Io
    [[nodiscard]] static Result<NpzFile> open(const RandomBytes& bytes);

    [[nodiscard]] const std::vector<ZipMember>& members() const { return members_; }

    /// Returns the content of a member; the end of the stream is reached only if its size and its
    /// checksum are those of the directory.
    /// Errors    NotFound (the message lists the members), BadFormat, Truncated, Io; when reading also
    ///           Corrupt
    [[nodiscard]] Result<std::unique_ptr<ByteStream>> content(std::string_view name) const;

    /// Opens a member as an array. `content` is that member's, and must outlive the reader.
    /// Errors    those of NpyReader::open
    [[nodiscard]] Result<NpyReader> array(std::string_view name, ByteStream& content) const;

private:
    explicit NpzFile(const RandomBytes& bytes) : bytes_(&bytes) {}

    [[nodiscard]] Result<const ZipMember*> member(std::string_view name) const;

    const RandomBytes* bytes_;
    std::vector<ZipMember> members_;
};

}  // namespace starling::data
