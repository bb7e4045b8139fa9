#pragma once

// Settings of the optimizer and the learning rate, as the swarm's descriptor holds them.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling::compute {

enum class ScheduleKind : std::uint8_t { Constant, Step, Cosine };

/// The value of `scale` that `auto` stands for.
inline constexpr std::uint64_t kScaleAny = 65536;

struct OptimizerSpec {
    std::string name = "sgd";  ///< sgd or adamw
    double learning_rate = 0.05;
    double momentum = 0.9;         ///< sgd
    bool nesterov = false;         ///< sgd
    double beta1 = 0.9;            ///< adamw
    double beta2 = 0.999;          ///< adamw
    double epsilon = 1e-8;         ///< adamw
    double weight_decay = 0.0;     ///< sgd adds it to the gradient, adamw applies it apart
    bool decay_matrices = false;   ///< adamw: only matrices decay, not vectors (biases, norms)
    double clip = 0.0;             ///< largest global norm of a gradient; 0 for any
    std::uint64_t scale = 0;       ///< adamw: K peers up to so many step sqrt(K) times as far
    std::uint64_t accumulate = 1;  ///< batches whose mean gradient makes one update
    ScheduleKind schedule = ScheduleKind::Constant;
    std::uint64_t warmup = 0;      ///< steps of linear warm-up; step i runs at (i + 1) / warmup
    std::uint64_t total = 0;       ///< steps until cosine reaches `floor` times the base rate
    std::uint64_t step_every = 0;  ///< steps between drops of a Step schedule
    double gamma = 0.1;            ///< factor of each drop
    double floor = 0.0;

    /// Parses `adamw?lr=0.001&clip=1` or
    /// `sgd?lr=0.05&momentum=0.9&schedule=cosine&total=4000&warmup=100`.
    /// Errors    Usage, naming the key and what is allowed
    [[nodiscard]] static Result<OptimizerSpec> parse(std::string_view text);

    /// Returns the spec with every value, in the syntax that parse() takes. It leaves out decay,
    /// clip, accumulate and scale when they have no effect.
    [[nodiscard]] std::string to_string() const;
};

/// Returns the learning rate of a step (0 is the first), without `scale`: who trains knows K.
[[nodiscard]] double learning_rate_at(const OptimizerSpec& spec, std::uint64_t step);

}  // namespace starling::compute
