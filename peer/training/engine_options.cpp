#include "peer/training/engine_options.hpp"

#include <memory>

#include "peer/terms/task.hpp"

namespace starling::peer {

compute::EngineOptions engine_options(const Descriptor& descriptor, int threads) {
    compute::EngineOptions options;
    options.model = descriptor.model;
    options.model_file = std::make_shared<const Bytes>(descriptor.model_file);
    options.task = task_of(descriptor.manifest);
    if (descriptor.class_weighting != ClassWeighting::None) {
        options.task.weights = descriptor.class_weights;
        if (descriptor.class_weighting == ClassWeighting::Logits) {
            options.task.weighting = compute::Weighting::Scores;
        }
    }
    options.batch = descriptor.batch;
    options.eval_batch = evaluation_batch(descriptor.manifest);
    options.threads = threads;
    return options;
}

}  // namespace starling::peer
