#include "peer/observe/reporter.hpp"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/json_text.hpp"
#include "base/printable.hpp"
#include "peer/machine/clock.hpp"

namespace starling::peer {

namespace {

/// Programs get each progress line, people one of so many: about one every five seconds.
constexpr int kPlainEvery = 5;
constexpr Duration kFlushMax = std::chrono::seconds(1);
/// Characters of a note: what others say in it is short, unless it comes from a text of theirs that was
/// read (a model, an option).
constexpr std::size_t kLineMax = 4096;

nlohmann::json number_or_null(double value, bool known) {
    if (!known || !std::isfinite(value)) return nullptr;
    return value;
}

/// Returns what is known of a peer. A number that nothing has measured yet is left out.
std::string progress_text(const ProgressLine& line) {
    const Record& r = line.record;
    std::string text;
    const auto add = [&text](const std::string& part) {
        text += (text.empty() ? "" : ", ") + part;
    };
    if (!line.waiting.empty()) add("waiting for " + line.waiting);
    if (r.steps > 0) {
        add(fmt::format("step {}", r.steps));
        if (r.samples_per_s > 0) add(fmt::format("{:.0f} samples/s", r.samples_per_s));
        if (r.loss > 0) add(fmt::format("loss {:.4f}", r.loss));
    }
    if (line.test_loss) add(fmt::format("test loss {:.4f}", *line.test_loss));
    if (r.accuracy >= 0) add(fmt::format("accuracy {:.4f}", r.accuracy));
    if (r.quality) {
        add(fmt::format("{} {:.4f}", compute::to_string(r.quality->kind), r.quality->value));
    }
    if (r.exchanges > 0) {
        add(fmt::format("spread {:.2e}", r.spread));
        add(fmt::format("{} exchanges", r.exchanges));
    }
    add(fmt::format("{} {}", line.members, line.members == 1 ? "member" : "members"));
    return text;
}

nlohmann::json quality_json(const std::optional<compute::Quality>& quality) {
    if (!quality) return nullptr;
    return {{std::string(compute::to_string(quality->kind)), number_or_null(quality->value, true)}};
}

nlohmann::json qualities_json(const std::vector<compute::Quality>& qualities) {
    auto out = nlohmann::json::object();
    for (const auto& one : qualities) {
        out[std::string(compute::to_string(one.kind))] = number_or_null(one.value, true);
    }
    return out;
}

/// Returns what the last evaluation has found: `accuracy 0.9100, test loss 0.2513, auc 0.9721`.
std::string found_text(const FinalLine& line) {
    std::string text;
    if (line.accuracy) text = fmt::format("accuracy {:.4f}, ", *line.accuracy);
    text += fmt::format("test loss {:.4f}", line.loss);
    for (const auto& one : line.qualities) {
        text += fmt::format(", {} {:.4f}", compute::to_string(one.kind), one.value);
    }
    return text;
}

/// Says on which part of a large split the last words are.
std::string judged_text(const FinalLine& line) {
    if (!line.judged) return "";
    return fmt::format(
        " (on {:.1f} % of the samples that models are judged by)", 100 * *line.judged
    );
}

}  // namespace

Reporter::Reporter(bool json) : json_(json) {
    out_ = std::make_shared<LineWriter>(STDOUT_FILENO, [json](std::uint64_t lines) {
        return json ? json_text(nlohmann::json{{"event", "dropped"}, {"lines", lines}})
                    : fmt::format("({} lines are missing here: nobody read them)", lines);
    });
    // Two writers would mix up the order of the lines on one terminal.
    if (same_file(STDOUT_FILENO, STDERR_FILENO)) {
        errors_ = out_;
        return;
    }
    errors_ = std::make_shared<LineWriter>(STDERR_FILENO, [](std::uint64_t lines) {
        return fmt::format("starling: {} lines are missing here: nobody read them", lines);
    });
}

/// A founder's model file and a user's directory may have names that are not UTF-8. They get
/// replacement characters, because without them dump() throws. JSON escapes only the controls of ASCII,
/// and people read these lines on terminals, too.
void Reporter::print_json(const nlohmann::json& line, LineKind kind) {
    out_->put(printable(json_text(line)), kind);
}

void Reporter::print_line(const std::string& line, LineKind kind) {
    out_->put(printable(line), kind);
}

void Reporter::listening(const std::string& listen, const std::string& http) {
    if (json_) {
        print_json({{"event", "listening"}, {"id", self_.hex()}, {"listen", listen}, {"http", http}}
        );
        return;
    }
    print_line(fmt::format(
        "peer {} listens on {}; status and metrics on http://{}/",
        self_.short_string(),
        listen,
        http
    ));
}

void Reporter::founded(const SwarmId& swarm, const std::string& model, std::uint64_t parameters) {
    if (json_) {
        print_json(
            {{"event", "founded"},
             {"swarm", swarm.hex()},
             {"model", model},
             {"parameters", parameters}}
        );
        return;
    }
    print_line(fmt::format(
        "founded swarm {}: {} with {} parameters", swarm.short_string(), model, parameters
    ));
}

void Reporter::invite(const std::string& listen, const std::string& key, bool loopback) {
    if (json_) return;
    print_line(
        "others join with: starling peer --join " + listen + (key.empty() ? "" : " --key " + key)
    );
    if (!key.empty()) print_line("(copy " + key + " to their machines first, by a way you trust)");
    if (loopback) {
        print_line(
            "(" + listen +
            " serves this machine only; for others found it with --listen ADDRESS:PORT)"
        );
    }
}

void Reporter::busy(const std::string& what) {
    if (!json_) print_line(what);
}

void Reporter::joined(const SwarmId& swarm, const std::string& model, const std::string& via) {
    if (json_) {
        print_json(
            {{"event", "joined"}, {"swarm", swarm.hex()}, {"model", excerpt(model)}, {"via", via}}
        );
        return;
    }
    print_line(
        fmt::format("joined swarm {} ({}) by {}", swarm.short_string(), in_quotes(model), via)
    );
}

void Reporter::resumed(const SwarmId& swarm, std::uint64_t steps) {
    if (json_) {
        print_json({{"event", "resumed"}, {"swarm", swarm.hex()}, {"steps", steps}});
        return;
    }
    print_line(fmt::format("resumed swarm {} after {} steps", swarm.short_string(), steps));
}

void Reporter::progress(const ProgressLine& line) {
    const Record& r = line.record;
    const bool measured = r.accuracy >= 0;
    const std::string state(to_string(r.state));
    if (json_) {
        print_json(
            {{"event", "progress"},
             {"id", self_.hex()},
             {"state", state},
             {"steps", r.steps},
             {"samples", r.samples},
             {"samples_per_s", number_or_null(r.samples_per_s, true)},
             {"longest_step_ms", number_or_null(1e3 * to_seconds(line.longest_step), r.steps > 0)},
             {"loss", number_or_null(r.loss, r.steps > 0)},
             {"accuracy", number_or_null(r.accuracy, measured)},
             {"quality", quality_json(r.quality)},
             {"test_loss",
              number_or_null(line.test_loss.value_or(0.0), line.test_loss.has_value())},
             {"spread", number_or_null(r.spread, true)},
             {"exchanges", r.exchanges},
             {"bytes", r.bytes},
             {"shards", r.shards},
             {"held", r.held},
             {"members", line.members},
             {"swarm_samples", line.swarm_samples},
             {"round", r.round},
             {"target", line.target},
             {"ghost", line.ghost},
             {"waiting", line.waiting.empty() ? nlohmann::json() : nlohmann::json(line.waiting)}},
            LineKind::Progress
        );
        return;
    }
    const bool changed = state != last_state_;
    last_state_ = state;
    if (!changed && --plain_countdown_ > 0) return;
    plain_countdown_ = kPlainEvery;
    print_line(state + ": " + progress_text(line), LineKind::Progress);
}

void Reporter::member(std::string_view what, const PeerId& id, const std::string& name) {
    if (json_) {
        print_json(
            {{"event", "member"},
             {"what", what},
             {"id", id.hex()},
             {"name", name.empty() ? nlohmann::json() : nlohmann::json(name)}}
        );
        return;
    }
    const auto who = name.empty() ? id.short_string() : name + " (" + id.short_string() + ")";
    print_line(fmt::format("member {}: {}", who, what));
}

void Reporter::finished(const FinalLine& line) {
    if (json_) {
        print_json(
            {{"event", "final"},
             {"id", self_.hex()},
             {"accuracy", number_or_null(line.accuracy.value_or(0), line.accuracy.has_value())},
             {"loss", number_or_null(line.loss, true)},
             {"qualities", qualities_json(line.qualities)},
             {"split", line.split.empty() ? nlohmann::json() : nlohmann::json(line.split)},
             {"goal", number_or_null(line.goal.value_or(0), line.goal.has_value())},
             {"samples", line.samples},
             {"steps", line.steps},
             {"spread", number_or_null(line.spread, true)},
             {"seconds", line.seconds},
             {"bytes", line.bytes},
             {"exchanges", line.exchanges},
             {"model", line.model},
             {"share", number_or_null(line.share.value_or(0), line.share.has_value())},
             {"judged", number_or_null(line.judged.value_or(0), line.judged.has_value())}},
            LineKind::Last
        );
        return;
    }
    print_line(
        fmt::format(
            "finished after {:.1f} s: {}, {} samples in {} steps, {} exchanges, "
            "distance to the last partner {:.2e}{}{}{}",
            line.seconds,
            found_text(line) + judged_text(line),
            line.samples,
            line.steps,
            line.exchanges,
            line.spread,
            line.share
                ? fmt::format("; {:.1f} % of all samples took part to the last", 100 * *line.share)
                : "",
            line.model.empty() ? "" : "; model in ",
            line.model
        ),
        LineKind::Last
    );
}

void Reporter::left() {
    if (json_) return print_json({{"event", "left"}}, LineKind::Last);
    print_line("left the swarm", LineKind::Last);
}

void Reporter::note(const std::string& line) {
    errors_->put("starling: " + excerpt(line, kLineMax), LineKind::Event);
}

void Reporter::flush() {
    const Instant until = real_now() + kFlushMax;
    for (const auto& writer : {out_, errors_}) (void)writer->drain(until - real_now());
}

std::uint64_t Reporter::lines_dropped() const {
    return out_->dropped() + (errors_ == out_ ? 0 : errors_->dropped());
}

}  // namespace starling::peer
