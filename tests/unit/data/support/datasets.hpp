#pragma once

// What the data tests share: a hash that needs no library, small made-up data sets, and IDX files.

#include <array>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "data/dataset.hpp"
#include "tests/support/temporary_directory.hpp"

namespace starling::data::testing {

/// Returns a hash that is not SHA-256, but is good enough to tell the shards of a test apart.
inline std::array<std::uint8_t, 32> test_hash(ByteView bytes) {
    std::array<std::uint64_t, 4> lanes{1, 2, 3, 4};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        lanes[i % 4] = mix64(lanes[i % 4] ^ (std::to_integer<std::uint64_t>(bytes[i]) + (i << 8U)));
    }
    const std::uint64_t all = lanes[0] ^ mix64(lanes[1] ^ mix64(lanes[2] ^ mix64(lanes[3])));
    std::array<std::uint8_t, 32> hash{};
    for (std::size_t i = 0; i < hash.size(); ++i) {
        hash[i] = static_cast<std::uint8_t>(mix64(all + i / 8) >> (8 * (i % 8)));
    }
    return hash;
}

/// Makes samples of 2 x 3 pixels. The first four pixels contain the sample's number, so that a test
/// can recognise each sample. The numbers start at `from`, so that train and test samples differ.
inline Samples numbered_samples(std::uint32_t count, std::uint32_t from, std::uint32_t classes) {
    Samples samples;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t number = from + i;
        for (unsigned byte = 0; byte < 4; ++byte) {
            samples.values.push_back(static_cast<std::uint8_t>(number >> (8 * byte)));
        }
        samples.values.push_back(static_cast<std::uint8_t>(mix64(number)));
        samples.values.push_back(255);
        samples.labels.push_back(static_cast<std::uint16_t>(number % classes));
    }
    return samples;
}

inline Dataset numbered_dataset(std::uint32_t train, std::uint32_t test) {
    Dataset dataset;
    dataset.name = "numbered";
    dataset.shape = {1, 2, 3};
    dataset.classes = 5;
    dataset.train = numbered_samples(train, 0, dataset.classes);
    dataset.test = numbered_samples(test, 1000000, dataset.classes);
    return dataset;
}

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    STARLING_CHECK(file.good());
}

/// Returns the bytes of an IDX file: a header for these dimensions, and then the values.
inline std::string idx_bytes(
    std::initializer_list<std::uint32_t> dimensions, const std::string& values
) {
    std::string bytes{'\0', '\0', '\x08', static_cast<char>(dimensions.size())};
    for (const auto size : dimensions) {
        for (int shift = 24; shift >= 0; shift -= 8) {
            bytes.push_back(static_cast<char>(size >> shift));
        }
    }
    return bytes + values;
}

}  // namespace starling::data::testing
