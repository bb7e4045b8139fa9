// Goal: a checkpoint is of the moment at which it was begun, and training does not wait for the disk. Method: a
// disk that does nothing until the test lets it, before a real one.

#include "peer/training/checkpoint_writer.hpp"

#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>

#include "peer/machine/files.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/compute/support/homes.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

/// Holds up whoever makes a file. All else is the real disk.
class Gate final : public Disk {
public:
    Result<std::unique_ptr<InputFile>> open(const fs::path& path, std::uint64_t limit) override {
        return real_disk().open(path, limit);
    }

    Result<std::unique_ptr<OutputFile>> create(const fs::path& path, unsigned mode) override {
        std::unique_lock lock(mutex_);
        waiting_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
        if (full_) return fail(kDiskFull, "the disk is full");
        return real_disk().create(path, mode);
    }

    Result<void> rename(const fs::path& from, const fs::path& to) override {
        return real_disk().rename(from, to);
    }

    Result<void> link(const fs::path& from, const fs::path& to) override {
        return real_disk().link(from, to);
    }

    Result<void> overwrite(const fs::path& path, ByteView bytes) override {
        return real_disk().overwrite(path, bytes);
    }

    void remove(const fs::path& path) override { real_disk().remove(path); }

    bool exists(const fs::path& path) override { return real_disk().exists(path); }

    std::vector<fs::path> list(const fs::path& directory) override {
        return real_disk().list(directory);
    }

    Result<void> make_directory(const fs::path& directory, unsigned mode) override {
        return real_disk().make_directory(directory, mode);
    }

    Result<void> sync_directory(const fs::path& directory) override {
        return real_disk().sync_directory(directory);
    }

    void set(bool open, bool full = false) {
        const std::scoped_lock lock(mutex_);
        open_ = open;
        full_ = full;
        changed_.notify_all();
    }

    void await_waiting() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = true;
    bool full_ = false;
    bool waiting_ = false;
};

compute::ParameterLayout two_chunks() {
    compute::ParameterInfo weights;
    weights.name = "w";
    weights.shape = {static_cast<std::int64_t>(compute::kChunkElements + 10)};
    weights.init = compute::Init::UniformFanIn;
    return compute::ParameterLayout({weights});
}

class Writer : public ::testing::TestWithParam<compute::HomeKind> {
protected:
    Writer() {
        store_.initialize(Rng(1));
        report_.steps = 7;
        report_.samples = 70;
    }

    [[nodiscard]] std::vector<float> values() {
        std::vector<float> values(store_.layout().elements());
        store_.read_all(values);
        return values;
    }

    void write(CheckpointWriter& writer) {
        writer.write(report_, state_, [this](const Result<void>& written) {
            const std::scoped_lock lock(mutex_);
            written_ = written;
            changed_.notify_all();
        });
    }

    [[nodiscard]] bool has_written() {
        const std::scoped_lock lock(mutex_);
        return written_.has_value();
    }

    Result<void> await() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return written_.has_value(); });
        return *std::exchange(written_, std::nullopt);
    }

    [[nodiscard]] Checkpoint read() const {
        auto read = read_checkpoint(real_disk(), directory_.path());
        EXPECT_TRUE(read.has_value());
        return read ? std::move(*read) : Checkpoint{};
    }

    starling::testing::TemporaryDirectory directory_;
    Gate disk_;
    Bytes descriptor_{std::byte{1}, std::byte{2}};
    compute::ParameterStore store_ = compute::store_in(GetParam(), two_chunks());
    TrainerReport report_;
    std::vector<float> state_ = std::vector<float>(20, 0.5F);
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Result<void>> written_;
};

INSTANTIATE_TEST_SUITE_P(In, Writer, compute::kHomes, compute::name_of);

TEST_P(Writer, KeepsTheMomentAtWhichItWasBegunWhileTrainingGoesOn) {
    CheckpointWriter writer(disk_, directory_.path(), descriptor_, store_);
    writer.set_known({"127.0.0.1:7300"}, 77);
    disk_.set(false);
    const auto before = values();
    write(writer);
    disk_.await_waiting();
    // The disk hangs, and the compute thread is here already. It makes a step.
    EXPECT_FALSE(has_written());
    store_.initialize(Rng(2));
    state_.assign(state_.size(), 9.0F);
    disk_.set(true);
    ASSERT_TRUE(await().has_value());
    const auto kept = read();
    EXPECT_EQ(kept.parameters, before);
    EXPECT_NE(kept.parameters, values());
    EXPECT_EQ(kept.optimizer_state, std::vector<float>(20, 0.5F));
    EXPECT_EQ(kept.steps, 7U);
    EXPECT_EQ(kept.samples, 70U);
    EXPECT_EQ(kept.descriptor, descriptor_);
    EXPECT_EQ(kept.addresses, std::vector<std::string>{"127.0.0.1:7300"});
    EXPECT_EQ(kept.learned, 77U);
}

TEST_P(Writer, ItsParametersGoIntoAStoreWhereverTheyLieThere) {
    CheckpointWriter writer(disk_, directory_.path(), descriptor_, store_);
    write(writer);
    ASSERT_TRUE(await().has_value());
    for (const auto& kind : {compute::kHostHome, compute::kFileHome}) {
        auto resumed = compute::store_in(kind, two_chunks());
        resumed.write_all(read().parameters);
        std::vector<float> all(resumed.layout().elements());
        resumed.read_all(all);
        EXPECT_EQ(all, values()) << kind.name;
    }
}

TEST_P(Writer, MemoryThatWasMadeReadyChangesNothing) {
    CheckpointWriter writer(disk_, directory_.path(), descriptor_, store_);
    for (const std::size_t state : {20U, 3U, 1000U}) {
        writer.prepare(state);
        write(writer);
        ASSERT_TRUE(await().has_value());
        const auto kept = read();
        EXPECT_EQ(kept.parameters, values());
        EXPECT_EQ(kept.optimizer_state, state_);
    }
}

TEST_P(Writer, SaysWhenTheDiskIsFullAndWritesAgainLater) {
    CheckpointWriter writer(disk_, directory_.path(), descriptor_, store_);
    disk_.set(true, true);
    write(writer);
    const auto failed = await();
    ASSERT_TRUE(failed.has_error());
    EXPECT_EQ(failed.error().code, kDiskFull);
    disk_.set(true, false);
    write(writer);
    EXPECT_TRUE(await().has_value());
    EXPECT_EQ(read().steps, 7U);
}

TEST_P(Writer, EndsWhenWhatItHasBegunIsWritten) {
    {
        CheckpointWriter writer(disk_, directory_.path(), descriptor_, store_);
        write(writer);
    }
    EXPECT_TRUE(has_written());
    EXPECT_EQ(read().steps, 7U);
}

TEST_P(Writer, WithoutADirectoryThereIsNoThread) {
    const CheckpointWriter writer(disk_, {}, descriptor_, store_);
}

}  // namespace
}  // namespace starling::peer
