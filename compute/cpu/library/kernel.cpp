#include "compute/cpu/library/kernel.hpp"

#include "base/check.hpp"

namespace starling::compute::cpu {

PrimitiveKernel::PrimitiveKernel(std::string name, Compiled compiled, std::vector<Operand> operands)
    : Kernel(std::move(name)),
      compiled_(std::move(compiled)),
      operands_(std::move(operands)),
      stream_(cpu_engine()) {}

void PrimitiveKernel::bind(Addresses addresses) {
    memories_.clear();
    arguments_.clear();
    memories_.reserve(operands_.size());
    for (const auto& operand : operands_) {
        auto* address = addresses[static_cast<std::size_t>(operand.buffer)];
        memories_.emplace_back(compiled_.desc(operand.argument), cpu_engine(), address);
        arguments_.push_back({operand.argument, memories_.back().get()});
    }
}

void PrimitiveKernel::run() {
    // This is the C function, because the C++ one builds a vector of arguments each time.
    const auto status = dnnl_primitive_execute(
        compiled_.primitive.get(),
        stream_.get(),
        static_cast<int>(arguments_.size()),
        arguments_.data()
    );
    STARLING_CHECK(status == dnnl_success);
}

void LoopKernel::bind(Addresses addresses) {
    spans_.clear();
    for (const auto& operand : operands_) {
        spans_.emplace_back(addresses[static_cast<std::size_t>(operand.buffer)], operand.bytes);
    }
}

}  // namespace starling::compute::cpu
