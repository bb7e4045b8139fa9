#pragma once

// Where the parameters of a test lie: tests of a store, and of all who use one, run with each home.

#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <ostream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "compute/arena/parameter_store.hpp"

namespace starling::compute {

/// Keeps the floats in a file without a name, so that the host reaches them by copies alone. These
/// are made piece by piece, as those to a device may be, and their bytes are counted.
class FileHome final : public ParameterHome {
public:
    explicit FileHome(std::size_t size)
        : ParameterHome(size),
          file_(::memfd_create("parameters", MFD_CLOEXEC)) {
        EXPECT_EQ(::ftruncate(file_, static_cast<::off_t>(size * sizeof(float))), 0);
    }

    ~FileHome() override { ::close(file_); }

    FileHome(const FileHome&) = delete;
    FileHome& operator=(const FileHome&) = delete;

    void read(std::size_t at, std::span<std::byte> out) override {
        bytes_out_ += out.size();
        pieces(at, out.size(), [&](std::size_t done, std::size_t count, ::off_t place) {
            return ::pread(file_, out.data() + done, count, place);
        });
    }

    void write(std::size_t at, ByteView values) override {
        bytes_in_ += values.size();
        pieces(at, values.size(), [&](std::size_t done, std::size_t count, ::off_t place) {
            return ::pwrite(file_, values.data() + done, count, place);
        });
    }

    [[nodiscard]] std::size_t bytes_out() const { return bytes_out_; }

    [[nodiscard]] std::size_t bytes_in() const { return bytes_in_; }

private:
    static constexpr std::size_t kPieceBytes = 12'000;

    template <class Copy>
    void pieces(std::size_t at, std::size_t bytes, const Copy& copy) const {
        EXPECT_LE(at * sizeof(float) + bytes, size() * sizeof(float));
        for (std::size_t done = 0; done < bytes; done += kPieceBytes) {
            const auto count = std::min(kPieceBytes, bytes - done);
            const auto place = static_cast<::off_t>(at * sizeof(float) + done);
            EXPECT_EQ(copy(done, count, place), static_cast<::ssize_t>(count));
        }
    }

    int file_;
    std::atomic<std::size_t> bytes_out_{0};
    std::atomic<std::size_t> bytes_in_{0};
};

struct HomeKind {
    const char* name;
    std::unique_ptr<ParameterHome> (*make)(std::size_t size);
};

inline void PrintTo(const HomeKind& kind, std::ostream* out) {
    *out << kind.name;
}

inline constexpr HomeKind kHostHome{"Host", [](std::size_t size) -> std::unique_ptr<ParameterHome> {
                                        return std::make_unique<HostHome>(size);
                                    }};
inline constexpr HomeKind kFileHome{"File", [](std::size_t size) -> std::unique_ptr<ParameterHome> {
                                        return std::make_unique<FileHome>(size);
                                    }};

/// Returns a store, all zeros, in a home of its own.
[[nodiscard]] inline ParameterStore store_in(const HomeKind& kind, const ParameterLayout& layout) {
    return ParameterStore(layout, kind.make(layout.elements()));
}

/// What INSTANTIATE_TEST_SUITE_P wants.
inline const auto kHomes = ::testing::Values(kHostHome, kFileHome);

[[nodiscard]] inline std::string name_of(const ::testing::TestParamInfo<HomeKind>& info) {
    return info.param.name;
}

}  // namespace starling::compute
