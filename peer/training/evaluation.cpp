#include "peer/training/evaluation.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "data/batcher.hpp"

namespace starling::peer {

Evaluation::Evaluation(const data::ShardStore& shards, std::size_t batch, data::Split split)
    : shards_(shards),
      batch_(batch),
      judged_(data::shards_of(shards.manifest(), split)),
      preparation_(shards.manifest()),
      values_(batch * preparation_.values()),
      labels_(batch * preparation_.labels()),
      targets_(batch * preparation_.targets()) {}

Evaluated Evaluation::run(
    compute::Engine& engine, std::size_t first, std::size_t count, const std::atomic<bool>& stop
) {
    Evaluated total;
    while (total.samples < count && !stop) {
        const std::size_t wanted = std::min(batch_, count - total.samples);
        const auto read = data::read_samples(
            shards_,
            preparation_,
            judged_,
            first + total.samples,
            wanted,
            {values_, labels_, targets_}
        );
        const auto got = read.passed;
        if (got == 0) break;
        if (read.filled == 0) {
            total.samples += got;
            continue;
        }
        const compute::Batch batch{
            std::span(values_).first(read.filled * preparation_.values()),
            std::span(labels_).first(read.filled * preparation_.labels()),
            std::span(targets_).first(read.filled * preparation_.targets())};
        auto part = engine.evaluate(batch);
        if (judge_ != nullptr && part.has_value() && part->samples > 0) {
            if (auto judged = judge_->add(engine.answers(), batch); !judged) part = judged.error();
        }
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
