// Goal: archives give the files that Python and zstd packed, in whatever format, and what strangers
// may put into one refuses it with a line that names the entry.
// Method: small archives made by tests/golden/archives.py; the same cut at every length and with bits
// flipped.

#include "data/archive/archive.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <sys/stat.h>

#include "base/rng.hpp"
#include "data/archive/byte_source.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data {
namespace {

using starling::testing::TemporaryDirectory;
using starling::testing::write_quickly;
using testing::golden;

using Files = std::map<std::string, Bytes>;

Bytes gunzipped(const Bytes& packed) {
    auto source = ByteSource::over(packed);
    Bytes out(std::size_t{1} << 18U);
    const auto got = source.read(out);
    STARLING_CHECK(got.has_value() && *got < out.size());
    out.resize(*got);
    return out;
}

/// Files by name, or the first fault.
Result<Files> unpack(ByteView bytes, const ArchiveLimits& limits = {}) {
    auto archive = Archive::over(bytes, "file", limits);
    if (!archive) return archive.error();
    Files files;
    while (true) {
        const auto entry = archive->next();
        if (!entry) return entry.error();
        if (!entry->has_value()) return files;
        if (!(*entry)->regular) continue;
        Bytes content;
        if (auto ok = archive->read(content, 1U << 20U); !ok) return ok.error();
        files[(*entry)->name] = std::move(content);
    }
}

Files expected_files() {
    Bytes numbers;
    for (int i = 0; i < 256 * 12; ++i) numbers.push_back(static_cast<std::byte>(i % 256));
    const auto alpha = as_byte_view("alpha\n");
    return {{"a.txt", {alpha.begin(), alpha.end()}}, {"d/b.bin", numbers}, {"d/empty", {}}};
}

void expect_fault(const Result<Files>& got, FaultCode code, const std::string& words) {
    ASSERT_FALSE(got.has_value()) << words;
    EXPECT_EQ(to_string(got.error().code), to_string(code)) << got.error().message;
    EXPECT_NE(got.error().message.find(words), std::string::npos) << got.error().message;
    EXPECT_TRUE(got.error().message.starts_with("file: ")) << got.error().message;
    EXPECT_EQ(got.error().message.find('\n'), std::string::npos) << got.error().message;
}

/// The good archives, each as packed and the tars also plain.
std::map<std::string, Bytes> good_archives() {
    std::map<std::string, Bytes> archives;
    for (const std::string name : {"pax.tar", "gnu.tar", "ustar.tar"}) {
        archives[name + ".gz"] = golden("archives/" + name + ".gz");
        archives[name] = gunzipped(archives[name + ".gz"]);
    }
    for (const std::string name : {"pax.tar.zst", "deflated.zip", "stored.zip"}) {
        archives[name] = golden("archives/" + name);
    }
    return archives;
}

TEST(Archive, GivesTheFilesOfEveryFormat) {
    for (const auto& [name, bytes] : good_archives()) {
        const auto files = unpack(bytes);
        ASSERT_TRUE(files.has_value()) << name << ": " << files.error().message;
        EXPECT_EQ(*files, expected_files()) << name;
    }
}

TEST(Archive, OpensFiles) {
    const TemporaryDirectory directory;
    for (const auto& [name, bytes] : good_archives()) {
        const auto path = directory.path() / name;
        write_quickly(path, bytes);
        auto archive = Archive::open(path, {});
        ASSERT_TRUE(archive.has_value()) << archive.error().message;
        std::vector<std::string> names;
        for (auto entry = archive->next(); entry.has_value() && entry->has_value();
             entry = archive->next()) {
            if ((*entry)->regular) names.push_back((*entry)->name);
        }
        EXPECT_EQ(names, (std::vector<std::string>{"a.txt", "d/b.bin", "d/empty"})) << name;
        EXPECT_EQ(archive->size(), bytes.size());
        EXPECT_LE(archive->position(), archive->size());
    }
}

TEST(Archive, SaysWhereFilesLieInAPlainTar) {
    for (const auto& [name, bytes] : good_archives()) {
        auto archive = Archive::over(bytes, "file", {});
        ASSERT_TRUE(archive.has_value());
        std::size_t seen = 0;
        for (auto entry = archive->next(); entry.has_value() && entry->has_value();
             entry = archive->next()) {
            if (!(*entry)->regular) continue;
            ASSERT_EQ((*entry)->offset.has_value(), name.ends_with(".tar")) << name;
            const auto content = expected_files().at((*entry)->name);
            EXPECT_EQ((*entry)->size, content.size());
            ++seen;
            if (!(*entry)->offset) continue;
            const auto lies = ByteView(bytes).subspan(*(*entry)->offset, content.size());
            EXPECT_TRUE(std::equal(content.begin(), content.end(), lies.begin(), lies.end()));
        }
        EXPECT_EQ(seen, 3U) << name;
    }
}

TEST(Archive, ReadsAnEntryInPieces) {
    const auto bytes = golden("archives/deflated.zip");
    auto archive = Archive::over(bytes, "file", {});
    ASSERT_TRUE(archive.has_value());
    ASSERT_TRUE(archive->next().has_value());
    ASSERT_EQ((*archive->next())->name, "d/b.bin");
    Bytes pieces;
    Bytes piece(1000);
    for (auto got = archive->read_some(piece); got.has_value() && *got > 0;
         got = archive->read_some(piece)) {
        pieces.insert(pieces.end(), piece.begin(), piece.begin() + static_cast<long>(*got));
    }
    EXPECT_EQ(pieces, expected_files().at("d/b.bin"));
}

TEST(Archive, AnEntryAboveTheReadersLimitLeavesTheRestReadable) {
    const auto bytes = gunzipped(golden("archives/pax.tar.gz"));
    auto archive = Archive::over(bytes, "file", {});
    ASSERT_TRUE(archive.has_value());
    Bytes content;
    while (true) {
        const auto entry = archive->next();
        ASSERT_TRUE(entry.has_value()) << entry.error().message;
        if (!entry->has_value()) break;
        if (!(*entry)->regular) continue;
        const auto ok = archive->read(content, 3071);
        EXPECT_EQ(ok.has_value(), (*entry)->name != "d/b.bin");
    }
    EXPECT_TRUE(content.empty());
}

TEST(Archive, NamesMayBeUnicode) {
    std::string name;
    for (int i = 0; i < 60; ++i) name += "\u00e9";
    for (const auto* file : {"archives/unicode.tar.gz", "archives/unicode.zip"}) {
        const auto files = unpack(golden(file));
        ASSERT_TRUE(files.has_value()) << files.error().message;
        EXPECT_TRUE(files->contains(name + ".txt")) << file << ": " << files->begin()->first;
    }
}

// What refuses an archive.

TEST(ArchiveFaults, PathsThatLeadOutAreRefused) {
    expect_fault(
        unpack(golden("archives/absolute.tar.gz")), FaultCode::BadFormat, "'/etc/passwd': an abs"
    );
    expect_fault(
        unpack(golden("archives/parent.tar.gz")),
        FaultCode::BadFormat,
        "'d/../../x': a path with .."
    );
    expect_fault(
        unpack(golden("archives/parent.zip")), FaultCode::BadFormat, "'../x': a path with .."
    );
}

TEST(ArchiveFaults, WhatIsNoFileIsRefused) {
    const auto code = FaultCode::BadFormat;
    expect_fault(unpack(golden("archives/symlink.tar.gz")), code, "'l': a symbolic link");
    expect_fault(unpack(golden("archives/symlink.zip")), code, "'l': a symbolic link");
    expect_fault(unpack(golden("archives/hardlink.tar.gz")), code, "'l': a hard link");
    expect_fault(unpack(golden("archives/device.tar.gz")), code, "'l': a device");
    expect_fault(unpack(golden("archives/fifo.tar.gz")), code, "'l': a named pipe");
}

TEST(ArchiveFaults, TwoFilesOfOneNameAreRefused) {
    expect_fault(unpack(golden("archives/twice.tar.gz")), FaultCode::BadFormat, "two files have");
    expect_fault(unpack(golden("archives/twice.zip")), FaultCode::BadFormat, "'a.txt': two files");
}

TEST(ArchiveFaults, EncryptedFilesAreNamed) {
    expect_fault(unpack(golden("archives/encrypted.zip")), FaultCode::Unsupported, "'a.txt': encr");
}

TEST(ArchiveFaults, OtherFormatsAreNamed) {
    expect_fault(unpack({}), FaultCode::BadFormat, "neither tar nor zip");
    expect_fault(
        unpack(as_byte_view("Rar!\x1a\x07\x01")), FaultCode::BadFormat, "neither tar nor zip"
    );
}

TEST(ArchiveFaults, ABombIsRefusedByItsRatio) {
    const auto bomb = gunzipped(golden("archives/bomb.tar.gz"));
    auto archive = Archive::over(bomb, "file", {});
    ASSERT_TRUE(archive.has_value());
    ASSERT_TRUE(archive->next().has_value());
    const auto end = archive->next();
    ASSERT_FALSE(end.has_value());
    EXPECT_EQ(end.error().code, FaultCode::Oversized);
    EXPECT_NE(end.error().message.find("'zeros': the archive of"), std::string::npos);
    // It stays refused.
    EXPECT_FALSE(archive->next().has_value());
    Bytes content;
    EXPECT_FALSE(archive->read(content, 10).has_value());
}

TEST(ArchiveFaults, TheUnpackedSizeIsLimitedAlsoForWhatIsSkipped) {
    for (const auto& [name, bytes] : good_archives()) {
        const ArchiveLimits enough{
            .bytes_max = name.find(".tar.") == std::string::npos ? 3078U : 20'000U};
        EXPECT_TRUE(unpack(bytes, enough).has_value()) << name;
        const ArchiveLimits limits{.bytes_max = 3000};
        expect_fault(unpack(bytes, limits), FaultCode::Oversized, "more than 3000");
        auto archive = Archive::over(bytes, "file", limits);
        ASSERT_TRUE(archive.has_value());
        auto entry = archive->next();
        while (entry.has_value() && entry->has_value()) entry = archive->next();
        EXPECT_FALSE(entry.has_value()) << name;
    }
}

TEST(ArchiveFaults, EveryTruncationWithinTheFilesIsFound) {
    for (const auto& [name, bytes] : good_archives()) {
        // Behind the last file's header a plain tar has only its end mark, which many leave out.
        const auto longest = name.ends_with(".tar") ? bytes.size() - 10'240 + 5'120 : bytes.size();
        for (std::size_t length = 1; length < std::min(longest, bytes.size()); length += 3) {
            const auto files = unpack(ByteView(bytes).first(length));
            if (files.has_value()) {
                // Only a tar that is cut between two entries.
                EXPECT_TRUE(name.ends_with(".tar") && length % 512 < 3) << name << ' ' << length;
                continue;
            }
            EXPECT_TRUE(files.error().message.starts_with("file: ")) << files.error().message;
        }
    }
}

TEST(ArchiveFaults, ATruncatedTarNamesTheEntryAndTheByte) {
    const auto tar = gunzipped(golden("archives/gnu.tar.gz"));
    const auto cut = unpack(ByteView(tar).first(3000));
    expect_fault(cut, FaultCode::Truncated, "entry 'd//b.bin': needs 3072 bytes from byte 2048");
    EXPECT_NE(cut.error().message.find("ends at byte 3000"), std::string::npos);
    const auto packed = golden("archives/gnu.tar.gz");
    expect_fault(unpack(ByteView(packed).first(300)), FaultCode::Truncated, "ends at byte 300");
    const auto zip = golden("archives/stored.zip");
    expect_fault(unpack(ByteView(zip).first(3000)), FaultCode::Truncated, "without the directory");
}

TEST(ArchiveFaults, WrongChecksumsAreFound) {
    auto packed = golden("archives/gnu.tar.gz");
    packed[packed.size() - 6] ^= std::byte{1};
    expect_fault(unpack(packed), FaultCode::Corrupt, "gzip stream is damaged");
    auto zip = golden("archives/stored.zip");
    zip[2000] ^= std::byte{1};
    expect_fault(unpack(zip), FaultCode::Corrupt, "entry 'd/b.bin'");
    auto zstd = golden("archives/pax.tar.zst");
    zstd[zstd.size() - 2] ^= std::byte{1};
    EXPECT_FALSE(unpack(zstd).has_value());
    auto tar = gunzipped(golden("archives/gnu.tar.gz"));
    tar[1024 + 10] ^= std::byte{1};
    EXPECT_FALSE(unpack(tar).has_value());
}

TEST(ArchiveFaults, GarbageBehindTheEndIsIgnored) {
    for (auto& [name, bytes] : good_archives()) {
        if (name.ends_with(".zip") || name.ends_with(".zst")) continue;
        auto longer = bytes;
        longer.insert(longer.end(), 700, std::byte{0x5a});
        const auto files = unpack(longer);
        ASSERT_TRUE(files.has_value()) << name << ": " << files.error().message;
        EXPECT_EQ(*files, expected_files());
    }
}

TEST(ArchiveFaults, WhatIsNoFileOnDiskIsNamed) {
    const TemporaryDirectory directory;
    const auto missing = Archive::open(directory.path() / "none.tar", {});
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, FaultCode::NotFound);
    EXPECT_NE(missing.error().message.find("none.tar"), std::string::npos);
    const auto folder = Archive::open(directory.path(), {});
    ASSERT_FALSE(folder.has_value());
    EXPECT_EQ(folder.error().code, FaultCode::Usage);
    const auto pipe = directory.path() / "pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    const auto opened = Archive::open(pipe, {});
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().message.find("a pipe"), std::string::npos);
}

TEST(ArchiveFaults, FlippedBitsNeverDoHarm) {
    Rng rng(11);
    for (const auto& [name, bytes] : good_archives()) {
        for (int round = 0; round < 150; ++round) {
            auto damaged = bytes;
            for (int flips = 0; flips < 3; ++flips) {
                auto& victim = damaged[static_cast<std::size_t>(rng.below(damaged.size()))];
                victim ^= static_cast<std::byte>(1U << rng.below(8));
            }
            const auto files = unpack(damaged);
            if (files.has_value()) continue;
            EXPECT_TRUE(files.error().message.starts_with("file: ")) << files.error().message;
        }
    }
}

}  // namespace
}  // namespace starling::data
