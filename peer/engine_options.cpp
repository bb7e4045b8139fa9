#include "peer/engine_options.hpp"

#include <memory>

#include "peer/task.hpp"

namespace starling::peer {

compute::EngineOptions engine_options(const Descriptor& descriptor, int threads) {
    compute::EngineOptions options;
    options.model = descriptor.model;
    options.model_file = std::make_shared<const Bytes>(descriptor.model_file);
    options.task = task_of(descriptor.manifest);
    options.batch = descriptor.batch;
    options.eval_batch = evaluation_batch(descriptor.manifest);
    options.threads = threads;
    return options;
}

}  // namespace starling::peer
