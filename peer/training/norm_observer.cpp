#include "peer/training/norm_observer.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "data/batcher.hpp"
#include "data/preparation.hpp"
#include "peer/terms/training.hpp"

namespace starling::peer {

namespace {

std::size_t held_samples(const data::ShardStore& shards) {
    std::size_t samples = 0;
    for (const auto& info : shards.manifest().shards) {
        if (info.split == data::Split::Train && shards.has(info.id)) samples += info.samples;
    }
    return samples;
}

class Reader {
public:
    Reader(const data::ShardStore& shards, std::size_t batch)
        : shards_(shards),
          batch_(batch),
          preparation_(shards.manifest()),
          values_(batch * preparation_.values()),
          labels_(batch * preparation_.labels()),
          targets_(batch * preparation_.targets()) {}

    /// Fills a whole batch with samples from `first` on; after the last one comes the first one. Returns false if
    /// a pass over all brings none that can be read.
    bool fill(std::size_t first) {
        std::size_t filled = 0;
        std::size_t at_last_end = batch_;
        while (filled < batch_) {
            const auto read = data::read_samples(
                shards_, preparation_, data::Split::Train, first, batch_ - filled, from(filled)
            );
            filled += read.filled;
            first += read.passed;
            if (read.passed > 0) continue;
            if (filled == at_last_end) return false;
            at_last_end = filled;
            first = 0;
        }
        return true;
    }

    [[nodiscard]] compute::Batch batch() const { return {values_, labels_, targets_}; }

private:
    data::SampleOut from(std::size_t sample) {
        return {
            std::span(values_).subspan(sample * preparation_.values()),
            std::span(labels_).subspan(sample * preparation_.labels()),
            std::span(targets_).subspan(sample * preparation_.targets())};
    }

    const data::ShardStore& shards_;
    std::size_t batch_;
    data::Preparation preparation_;
    std::vector<float> values_;
    std::vector<std::int32_t> labels_;
    std::vector<float> targets_;
};

}  // namespace

Result<compute::NormMoments> observe_own(
    compute::Engine& engine,
    const data::ShardStore& shards,
    std::size_t batch,
    const std::atomic<bool>& stop
) {
    compute::NormMoments whole;
    const auto held = held_samples(shards);
    if (held == 0 || engine.norm_channels() == 0) return whole;
    Reader reader(shards, batch);
    const auto batches = std::clamp<std::size_t>(held / batch, 1, kNormBatches);
    for (std::size_t i = 0; i < batches; ++i) {
        if (stop || !reader.fill(i * held / batches)) return compute::NormMoments{};
        if (auto seen = engine.observe_norms(reader.batch(), whole); seen.has_error()) {
            return seen.error();
        }
    }
    return whole;
}

}  // namespace starling::peer
