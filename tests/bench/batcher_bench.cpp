// How fast batches are drawn, how late the first one after a change of the shard set is, and how
// much memory the order takes. One JSON line each.
//
//   batcher_bench draws    samples of Fashion-MNIST's size, and windows of a text
//   batcher_bench change   a set of 10 million samples that loses and gains shards

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "data/batcher.hpp"
#include "data/dataset.hpp"
#include "tests/bench/thread_time.hpp"
#include "tests/unit/data/support/few_tokens.hpp"

namespace starling::data {
namespace {

/// Not SHA-256, but it tells these shards apart.
std::array<std::uint8_t, 32> bench_hash(ByteView bytes) {
    std::array<std::uint8_t, 32> hash{};
    std::uint64_t lane = bytes.size();
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i, 8);
        lane = mix64(lane ^ word);
    }
    for (std::size_t i = 0; i < hash.size(); ++i) {
        hash[i] = static_cast<std::uint8_t>(mix64(lane + i / 8) >> (8 * (i % 8)));
    }
    return hash;
}

struct Task {
    const char* name;
    Sharded sharded;
    std::size_t batch;
};

Task images() {
    Dataset dataset;
    dataset.name = "images";
    dataset.shape = {1, 28, 28};
    dataset.classes = 10;
    Rng rng(1);
    const auto fill = [&](Samples& into, std::size_t samples) {
        into.values.resize(samples * 784);
        for (auto& value : into.values) value = static_cast<std::uint8_t>(rng.next());
        for (std::size_t i = 0; i < samples; ++i) {
            into.labels.push_back(static_cast<std::uint16_t>(i % 10));
        }
    };
    fill(dataset.train, 60000);
    fill(dataset.test, 100);
    return {"images of 784 B", shard_dataset(dataset, 1000, bench_hash), 64};
}

Task text() {
    std::string vocabulary;
    for (char c = 0; c < 65; ++c) vocabulary.push_back(static_cast<char>('0' + c));
    std::vector<std::uint16_t> tokens;
    Rng rng(1);
    for (int i = 0; i < 20000000; ++i) tokens.push_back(static_cast<std::uint16_t>(rng.below(65)));
    const std::vector<std::uint16_t> test(1000, 0);
    const testing::FewTokens few("text", vocabulary, 256, std::move(tokens), test);
    return {"windows of 256 tokens", testing::cut_text(few, 150000, bench_hash), 8};
}

void bench_draws(Task task) {
    ShardStore store(task.sharded.manifest, bench_hash);
    std::vector<ShardId> train;
    for (const auto& shard : task.sharded.manifest.shards) {
        if (shard.split == Split::Train) train.push_back(shard.id);
    }
    for (auto& bytes : task.sharded.shards) STARLING_CHECK(store.put(std::move(bytes)).has_value());
    Batcher batcher(store, 1);
    batcher.set_shards(train);
    std::vector<float> values(task.batch * store.manifest().sample_elements());
    std::vector<std::int32_t> labels(task.batch * store.manifest().labels_per_sample());
    std::uint64_t samples = 0;
    const double begin = thread_time();
    while (thread_time() < begin + 3.0) {
        for (int i = 0; i < 100; ++i) {
            STARLING_CHECK(batcher.next({values, labels}));
            samples += task.batch;
        }
    }
    const double rate = static_cast<double>(samples) / (thread_time() - begin);
    std::printf(
        "{\"bench\":\"draws\",\"of\":\"%s\",\"samples_per_s\":%.0f,\"elements_per_s\":%.0f}\n",
        task.name,
        rate,
        rate * static_cast<double>(store.manifest().sample_elements())
    );
}

std::vector<OrderedShard> make_shards(std::size_t count, std::uint32_t samples) {
    std::vector<OrderedShard> shards(count);
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t b = 0; b < 8; ++b) {
            shards[i].id.bytes[b] = static_cast<std::uint8_t>(mix64(i) >> (8 * b));
        }
        shards[i].samples = samples;
    }
    std::sort(shards.begin(), shards.end(), [](const auto& a, const auto& b) {
        return a.id < b.id;
    });
    return shards;
}

/// Draws batches of 64 and returns the longest wait of any, in ms of this thread's time.
double draw_batches(SampleOrder& order, int batches) {
    double worst = 0.0;
    for (int i = 0; i < batches; ++i) {
        const double begin = thread_time();
        for (int k = 0; k < 64; ++k) STARLING_CHECK(order.next().has_value());
        worst = std::max(worst, thread_time() - begin);
    }
    return 1e3 * worst;
}

void bench_change() {
    constexpr std::size_t kShards = 1000;
    const auto all = make_shards(kShards, 10000);
    SampleOrder order(1);
    order.set(all);
    const double first = draw_batches(order, 1);
    double begin = thread_time();
    const double steady = draw_batches(order, 20000);
    const double each = 1e9 * (thread_time() - begin) / (20000.0 * 64.0);
    std::printf(
        "{\"bench\":\"order\",\"samples\":%llu,\"bytes_per_sample\":%.4f,\"first_batch_ms\":%.2f,"
        "\"worst_batch_ms\":%.2f,\"ns_per_draw\":%.0f}\n",
        static_cast<unsigned long long>(order.samples()),
        static_cast<double>(order.memory_bytes()) / static_cast<double>(order.samples()),
        first,
        steady,
        each
    );
    Rng rng(1);
    for (const std::size_t changed : {1U, 10U, 100U, 333U, 500U}) {
        double worst_set = 0.0;
        double worst_batch = 0.0;
        std::size_t bytes = 0;
        for (int turn = 0; turn < 10; ++turn) {
            auto some = all;
            const auto from = static_cast<std::ptrdiff_t>(rng.below(kShards - changed));
            some.erase(
                some.begin() + from, some.begin() + from + static_cast<std::ptrdiff_t>(changed)
            );
            for (const auto& set : {some, all}) {
                auto given = set;
                begin = thread_time();
                order.set(std::move(given));
                worst_set = std::max(worst_set, 1e3 * (thread_time() - begin));
                worst_batch = std::max(worst_batch, draw_batches(order, 200));
                bytes = std::max(bytes, order.memory_bytes());
            }
        }
        std::printf(
            "{\"bench\":\"change\",\"shards_changed\":%zu,\"of\":%zu,\"worst_set_ms\":%.2f,"
            "\"worst_batch_after_ms\":%.2f,\"bytes_per_sample\":%.4f}\n",
            changed,
            kShards,
            worst_set,
            worst_batch,
            static_cast<double>(bytes) / 1e7
        );
    }
}

}  // namespace
}  // namespace starling::data

int main(int argc, char** argv) {
    using namespace starling::data;
    const bool draws = argc < 2 || std::strcmp(argv[1], "draws") == 0;
    const bool change = argc < 2 || std::strcmp(argv[1], "change") == 0;
    if (draws) {
        bench_draws(images());
        bench_draws(text());
    }
    if (change) bench_change();
    return 0;
}
