#include "peer/training/evaluation.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "data/batcher.hpp"

namespace starling::peer {

Evaluation::Evaluation(const data::ShardStore& shards, std::size_t batch)
    : shards_(shards),
      batch_(batch),
      elements_(shards.manifest().sample_elements()),
      labels_per_sample_(shards.manifest().labels_per_sample()),
      values_(batch * elements_),
      labels_(batch * labels_per_sample_) {}

Evaluated Evaluation::run(
    compute::Engine& engine, std::size_t first, std::size_t count, const std::atomic<bool>& stop
) {
    Evaluated total;
    while (total.samples < count && !stop) {
        const std::size_t wanted = std::min(batch_, count - total.samples);
        const auto values = std::span(values_).first(wanted * elements_);
        const auto labels = std::span(labels_).first(wanted * labels_per_sample_);
        const auto got = data::read_test_samples(shards_, first + total.samples, values, labels);
        if (got == 0) break;
        const auto part =
            engine.evaluate({values.first(got * elements_), labels.first(got * labels_per_sample_)}
            );
        if (part.has_error()) {
            const auto begin = first + total.samples;
            if (!total.fault) {
                total.fault = fail(
                    part.error().code,
                    "test samples " + std::to_string(begin) + " to " +
                        std::to_string(begin + got - 1) + ": " + part.error().message
                );
            }
        } else if (part->samples == 0) {
            break;  // interrupted
        } else {
            total.result += *part;
        }
        total.samples += got;
    }
    return total;
}

}  // namespace starling::peer
