#pragma once

// What a plan runs: library primitives and loops of ours over numbered buffers. When kernels are
// made, buffers have no address yet. bind() hands over the addresses, after which run() only
// computes.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compute/cpu/library/onednn.hpp"
#include "compute/lowering/buffers.hpp"

namespace starling::compute::cpu {

/// Addresses by buffer.
using Addresses = std::span<std::byte* const>;

/// What a kernel does in one run.
struct Account {
    std::string op;
    double flops = 0.0;
    double bytes = 0.0;
};

class Kernel {
public:
    explicit Kernel(std::string name) : name_(std::move(name)) {}

    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;
    virtual ~Kernel() = default;

    [[nodiscard]] const std::string& name() const { return name_; }

    [[nodiscard]] virtual std::string detail() const { return {}; }

    /// For profiles.
    [[nodiscard]] const Account& account() const { return account_; }

    void set_account(Account account) { account_ = std::move(account); }

    virtual void bind(Addresses addresses) = 0;
    virtual void run() = 0;

private:
    std::string name_;
    Account account_;
};

/// A oneDNN primitive with one buffer per argument.
class PrimitiveKernel final : public Kernel {
public:
    struct Operand {
        int argument = 0;
        BufferId buffer = BufferId::None;
    };

    PrimitiveKernel(std::string name, Compiled compiled, std::vector<Operand> operands);

    [[nodiscard]] std::string detail() const override { return compiled_.implementation; }

    void bind(Addresses addresses) override;
    void run() override;

private:
    Compiled compiled_;
    std::vector<Operand> operands_;
    dnnl::stream stream_;
    std::vector<dnnl::memory> memories_;
    std::vector<dnnl_exec_arg_t> arguments_;
};

/// A loop over buffers. Its body gets them as spans, in the order of the operands.
class LoopKernel final : public Kernel {
public:
    struct Operand {
        BufferId buffer = BufferId::None;
        std::size_t bytes = 0;
    };

    using Operands = std::span<const std::span<std::byte>>;
    using Body = std::function<void(Operands)>;

    LoopKernel(std::string name, std::vector<Operand> operands, Body body)
        : Kernel(std::move(name)),
          operands_(std::move(operands)),
          body_(std::move(body)) {}

    void bind(Addresses addresses) override;

    void run() override { body_(spans_); }

private:
    std::vector<Operand> operands_;
    Body body_;
    std::vector<std::span<std::byte>> spans_;
};

/// Reads an operand of a LoopKernel as floats, doubles or labels.
[[nodiscard]] inline std::span<float> floats(std::span<std::byte> bytes) {
    return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

[[nodiscard]] inline double* doubles(std::span<std::byte> bytes) {
    return reinterpret_cast<double*>(bytes.data());
}

[[nodiscard]] inline std::span<std::int32_t> integers(std::span<std::byte> bytes) {
    return {reinterpret_cast<std::int32_t*>(bytes.data()), bytes.size() / sizeof(std::int32_t)};
}

}  // namespace starling::compute::cpu
