#pragma once

// What the tests of sources share: files of a test, what opening them gives, and all samples as a
// model is fed them.

#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "data/preparation.hpp"
#include "data/source.hpp"
#include "tests/unit/data/support/datasets.hpp"
#include "tests/unit/data/support/golden.hpp"

namespace starling::data::testing {

inline SourcePointer open(const std::string& spec) {
    auto source = open_source(*Spec::parse(spec), {});
    EXPECT_TRUE(source.has_value()) << (source ? "" : source.error().message);
    return source ? std::move(*source) : nullptr;
}

inline Fault refusal(const std::string& spec) {
    const auto source = open_source(*Spec::parse(spec), {});
    EXPECT_TRUE(source.has_error()) << spec;
    return source ? Fault{} : source.error();
}

inline std::uint16_t class_of(const Source& source, Split split, std::uint64_t sample) {
    return read_label(source.schema().label, source.labels(split).at(sample))->classes[0];
}

/// Cuts a source, and prepares every sample of a split, in the shards' order.
struct Prepared {
    explicit Prepared(const Source& source, Split split = Split::Train) {
        std::vector<Bytes> shards;
        auto made = cut_source(source, {}, std::nullopt, test_hash, [&](CutShard cut) {
            shards.push_back(std::move(cut.bytes));
            return Result<void>();
        });
        EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
        manifest = std::move(*made);
        Preparation preparation(manifest);
        for (std::size_t i = 0; i < shards.size(); ++i) {
            if (manifest.shards[i].split != split) continue;
            const auto view = open_shard(shards[i], manifest.shards[i], manifest);
            EXPECT_TRUE(view.has_value());
            for (std::uint32_t k = 0; k < view->samples; ++k) {
                values.emplace_back(preparation.values());
                labels.emplace_back(preparation.labels());
                targets.emplace_back(preparation.targets());
                const SampleOut out{values.back(), labels.back(), targets.back()};
                const auto read = preparation.read(*view, k, 0, std::nullopt, out);
                EXPECT_TRUE(read.has_value()) << (read ? "" : read.error().message);
            }
        }
    }

    Manifest manifest;
    std::vector<std::vector<float>> values;
    std::vector<std::vector<std::int32_t>> labels;
    std::vector<std::vector<float>> targets;
};

class SourceFiles : public ::testing::Test {
protected:
    void put(const std::string& name, std::string_view bytes) const {
        const auto path = folder_.path() / name;
        std::filesystem::create_directories(path.parent_path());
        write_file(path, bytes);
    }

    void put_golden(const std::string& name, const std::string& original) const {
        const auto bytes = golden("media/" + original);
        put(name, as_text(bytes));
    }

    [[nodiscard]] std::string path(const std::string& name = "") const {
        return (folder_.path() / name).string();
    }

    starling::testing::TemporaryDirectory folder_;
};

}  // namespace starling::data::testing
