#include "compute/training/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.hpp"
#include "base/spec.hpp"

namespace starling::compute {

namespace {

constexpr std::string_view kSgdKeys =
    "lr,momentum,nesterov,weight_decay,clip,accumulate,schedule,warmup,total,step_every,gamma,"
    "floor";
constexpr std::string_view kAdamKeys =
    "lr,beta1,beta2,eps,weight_decay,decay,clip,accumulate,scale,schedule,warmup,total,step_every,"
    "gamma,floor";
constexpr std::int64_t kStepsMax = std::int64_t{1} << 53;

std::string_view name_of(ScheduleKind kind) {
    switch (kind) {
        case ScheduleKind::Constant:
            return "constant";
        case ScheduleKind::Step:
            return "step";
        case ScheduleKind::Cosine:
            return "cosine";
    }
    STARLING_UNREACHABLE("schedule kind");
}

Fault not_allowed(std::string_view key, const std::string& value, const std::string& allowed) {
    return fail(
        FaultCode::Usage,
        "the optimizer: " + std::string(key) + "=" + value + " is not allowed; " + allowed
    );
}

/// Collects typed options and remembers the first failure.
class Reader {
public:
    explicit Reader(const Spec& spec) : spec_(spec) {}

    void real(std::string_view key, double& out, double low, double high) {
        take(spec_.real(key, out, low, high), out);
    }

    void steps(std::string_view key, std::uint64_t& out) {
        auto value = static_cast<std::int64_t>(out);
        take(spec_.integer(key, value, 0, kStepsMax), value);
        out = static_cast<std::uint64_t>(value);
    }

    void flag(std::string_view key, bool& out) {
        std::int64_t value = out ? 1 : 0;
        take(spec_.integer(key, value, 0, 1), value);
        out = value != 0;
    }

    void schedule(ScheduleKind& out) {
        const auto given = spec_.text("schedule", name_of(out));
        for (const auto kind : {ScheduleKind::Constant, ScheduleKind::Step, ScheduleKind::Cosine}) {
            if (given == name_of(kind)) {
                out = kind;
                return;
            }
        }
        status_ = not_allowed("schedule", given, "give constant, step or cosine");
    }

    void decay(bool& matrices) {
        const auto given = spec_.text("decay", "all");
        matrices = given == "matrices";
        if (!matrices && given != "all") {
            status_ = not_allowed("decay", given, "give all or matrices");
        }
    }

    void scale(std::uint64_t& peers) {
        const auto given = spec_.text("scale", "0");
        if (given == "auto") {
            peers = kScaleAny;
            return;
        }
        auto most = static_cast<std::int64_t>(peers);
        take(spec_.integer("scale", most, 0, kScaleAny), most);
        peers = static_cast<std::uint64_t>(most);
    }

    [[nodiscard]] const Result<void>& status() const { return status_; }

private:
    template <class T>
    void take(const Result<T>& value, T& out) {
        if (value.has_value()) {
            out = *value;
        } else if (status_.has_value()) {
            status_ = value.error();
        }
    }

    const Spec& spec_;
    Result<void> status_;
};

Result<void> check_together(const OptimizerSpec& spec) {
    if (spec.schedule == ScheduleKind::Cosine && spec.total <= spec.warmup) {
        return not_allowed(
            "total", std::to_string(spec.total), "schedule=cosine wants more than warmup"
        );
    }
    if (spec.schedule == ScheduleKind::Step && spec.step_every == 0) {
        return not_allowed("step_every", "0", "schedule=step wants at least 1");
    }
    if (spec.accumulate == 0) return not_allowed("accumulate", "0", "give at least 1");
    if (spec.nesterov && spec.momentum == 0.0) {
        return not_allowed("nesterov", "1", "it wants momentum above 0");
    }
    return {};
}

}  // namespace

Result<OptimizerSpec> OptimizerSpec::parse(std::string_view text) {
    const auto parsed = Spec::parse(text);
    if (parsed.has_error()) return parsed.error();
    const bool adam = parsed->name == "adamw";
    if ((parsed->name != "sgd" && !adam) || !parsed->path.empty()) {
        return fail(
            FaultCode::Usage,
            "'" + std::string(text) + "': no such optimizer; there is sgd, there is adamw"
        );
    }
    const auto known = parsed->only(adam ? kAdamKeys : kSgdKeys);
    if (known.has_error()) return known.error();
    OptimizerSpec spec;
    spec.name = parsed->name;
    // PyTorch's defaults for AdamW.
    if (adam) {
        spec.learning_rate = 0.001;
        spec.weight_decay = 0.01;
    }
    Reader reader(*parsed);
    reader.real("lr", spec.learning_rate, 0.0, 1000.0);
    reader.real("momentum", spec.momentum, 0.0, 0.9999);
    reader.flag("nesterov", spec.nesterov);
    reader.real("beta1", spec.beta1, 0.0, 0.9999);
    reader.real("beta2", spec.beta2, 0.0, 0.999999);
    reader.real("eps", spec.epsilon, 1e-12, 1.0);
    reader.real("weight_decay", spec.weight_decay, 0.0, 10.0);
    reader.decay(spec.decay_matrices);
    reader.real("clip", spec.clip, 0.0, 1e9);
    reader.steps("accumulate", spec.accumulate);
    reader.scale(spec.scale);
    reader.schedule(spec.schedule);
    reader.steps("warmup", spec.warmup);
    reader.steps("total", spec.total);
    reader.steps("step_every", spec.step_every);
    reader.real("gamma", spec.gamma, 0.0, 1.0);
    reader.real("floor", spec.floor, 0.0, 1.0);
    if (reader.status().has_error()) return reader.status().error();
    const auto together = check_together(spec);
    if (together.has_error()) return together.error();
    return spec;
}

std::string OptimizerSpec::to_string() const {
    Spec spec;
    spec.name = name;
    spec.options = {
        {"lr", shortest_text(learning_rate)},
        {"weight_decay", shortest_text(weight_decay)},
        {"schedule", std::string(name_of(schedule))},
        {"warmup", std::to_string(warmup)},
        {"total", std::to_string(total)},
        {"step_every", std::to_string(step_every)},
        {"gamma", shortest_text(gamma)},
        {"floor", shortest_text(floor)},
    };
    if (name == "adamw") {
        spec.options["beta1"] = shortest_text(beta1);
        spec.options["beta2"] = shortest_text(beta2);
        spec.options["eps"] = shortest_text(epsilon);
    } else {
        spec.options["momentum"] = shortest_text(momentum);
        spec.options["nesterov"] = nesterov ? "1" : "0";
    }
    if (decay_matrices) spec.options["decay"] = "matrices";
    if (clip != 0.0) spec.options["clip"] = shortest_text(clip);
    if (scale == kScaleAny) spec.options["scale"] = "auto";
    if (scale != 0 && scale != kScaleAny) spec.options["scale"] = std::to_string(scale);
    if (accumulate != 1) spec.options["accumulate"] = std::to_string(accumulate);
    return spec.to_string();
}

double learning_rate_at(const OptimizerSpec& spec, std::uint64_t step) {
    const double base = spec.learning_rate;
    if (step < spec.warmup) {
        return base * static_cast<double>(step + 1) / static_cast<double>(spec.warmup);
    }
    const auto since = static_cast<double>(step - spec.warmup);
    switch (spec.schedule) {
        case ScheduleKind::Constant:
            return base;
        case ScheduleKind::Step:
            return base *
                   std::pow(spec.gamma, std::floor(since / static_cast<double>(spec.step_every)));
        case ScheduleKind::Cosine: {
            const auto span = static_cast<double>(spec.total - spec.warmup);
            const double done = std::min(1.0, since / span);
            const double wave = 0.5 * (1.0 + std::cos(std::numbers::pi * done));
            return base * (spec.floor + (1.0 - spec.floor) * wave);
        }
    }
    STARLING_UNREACHABLE("schedule kind");
}

}  // namespace starling::compute
