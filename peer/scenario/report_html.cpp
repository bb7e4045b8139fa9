// The page of a report: findings, a lane for each peer with the faults as marks, and curves.

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <string_view>

#include "base/printable.hpp"
#include "peer/scenario/report.hpp"

namespace starling::scenario {
namespace {

constexpr double kLeft = 70;
constexpr double kWidth = 900;
constexpr double kLane = 16;
constexpr double kCurve = 120;

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string_view color_of(const std::string& state) {
    if (state == "training") return "#4a9d5b";
    if (state == "dead") return "#333333";
    if (state == "paused") return "#8e6bbf";
    if (state == "absent") return "#eeeeee";
    if (state == "done") return "#9ecae1";
    return "#e6b94d";  // joining, settling and the like
}

class Page {
public:
    explicit Page(const Run& run)
        : run_(run),
          times_(run.history.times()),
          last_(times_.empty() ? 1.0 : std::max(times_.back(), 1.0)) {}

    std::string render();

private:
    void findings();
    void lanes();
    void marks(double height);
    void curve(const char* title, std::optional<double> (*value)(const Sample&), bool logarithmic);
    void faults();

    [[nodiscard]] double x(double seconds) const { return kLeft + kWidth * seconds / last_; }

    const Run& run_;
    const std::vector<double>& times_;
    double last_;
    std::string out_;
};

void Page::findings() {
    if (run_.judge.count() == 0) return;
    out_ += "<h2>Findings</h2>\n<ol>\n";
    for (const auto& finding : run_.judge.findings()) {
        out_ += fmt::format("<li><b>{:.1f} s</b> {}", finding.at, escaped(finding.what));
        if (!finding.evidence.empty()) out_ += "<pre>";
        for (const auto& line : finding.evidence) out_ += escaped(line) + "\n";
        if (!finding.evidence.empty()) out_ += "</pre>";
        out_ += "</li>\n";
    }
    out_ += "</ol>\n";
}

void Page::marks(double height) {
    for (const auto& entry : run_.plan.entries()) {
        if (!entry.done || entry.step.action.verb == Verb::Wait) continue;
        const double from = x(to_seconds(*entry.done - run_.began));
        const auto title = escaped(to_string(entry.step.action));
        out_ += fmt::format(
            R"(<line x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1:.0f}" stroke="#c0392b"><title>{2}</title></line>)",
            from,
            height,
            title
        );
        if (!entry.undone) continue;
        out_ += fmt::format(
            R"(<line x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1:.0f}" stroke="#2471a3" stroke-dasharray="3"><title>end of {2}</title></line>)",
            x(to_seconds(*entry.undone - run_.began)),
            height,
            title
        );
    }
}

void Page::lanes() {
    const auto& peers = run_.history.peers();
    const double height = kLane * static_cast<double>(peers.size()) + 4;
    out_ +=
        "<h2>Peers</h2>\n<p>Green trains, yellow joins or settles, violet is paused, black is "
        "dead, "
        "blue is done. Red lines are faults, dashed ones their ends; a thin strip under a lane is "
        "as long as the list of members is complete.</p>\n";
    out_ += fmt::format(R"(<svg width="{:.0f}" height="{:.0f}">)", kLeft + kWidth + 10, height);
    double y = 2;
    std::size_t number = 0;
    for (const auto& samples : peers) {
        out_ += fmt::format(R"(<text x="0" y="{:.0f}">peer {}</text>)", y + 11, ++number);
        for (std::size_t i = 0; i < samples.size();) {
            std::size_t end = i + 1;  // one rectangle for as long as nothing changes
            while (end < samples.size() && samples[end].state == samples[i].state &&
                   samples[end].members == samples[i].members) {
                ++end;
            }
            const double to = end < samples.size() ? times_[end] : last_;
            const double width = std::max(0.5, x(to) - x(times_[i]));
            out_ += fmt::format(
                R"(<rect x="{:.1f}" y="{:.0f}" width="{:.1f}" height="10" fill="{}"><title>{} from {:.1f} s, lists {}</title></rect>)",
                x(times_[i]),
                y,
                width,
                color_of(samples[i].state),
                escaped(samples[i].state),
                times_[i],
                samples[i].members
            );
            const double share = static_cast<double>(samples[i].members) /
                                 static_cast<double>(std::max<std::size_t>(1, peers.size()));
            out_ += fmt::format(
                R"(<rect x="{:.1f}" y="{:.0f}" width="{:.1f}" height="3" fill="#1f5f8b" opacity="{:.2f}"/>)",
                x(times_[i]),
                y + 10,
                width,
                std::min(1.0, share)
            );
            i = end;
        }
        y += kLane;
    }
    marks(height);
    out_ += "</svg>\n";
}

void Page::curve(
    const char* title, std::optional<double> (*value)(const Sample&), bool logarithmic
) {
    double low = 1e300;
    double high = -1e300;
    const auto shown = [&](const Sample& sample) -> std::optional<double> {
        auto v = value(sample);
        if (!v || !std::isfinite(*v) || (logarithmic && *v <= 0)) return {};
        return logarithmic ? std::log10(*v) : *v;
    };
    for (const auto& samples : run_.history.peers()) {
        for (const auto& sample : samples) {
            if (const auto v = shown(sample)) {
                low = std::min(low, *v);
                high = std::max(high, *v);
            }
        }
    }
    if (low > high) return;
    const double range = std::max(high - low, 1e-9);
    out_ += fmt::format(
        R"(<h2>{}</h2><svg width="{:.0f}" height="{:.0f}">)", title, kLeft + kWidth + 10, kCurve + 4
    );
    const auto label = [&](double v) { return logarithmic ? std::pow(10.0, v) : v; };
    out_ += fmt::format(R"(<text x="0" y="12">{:.3g}</text>)", label(high));
    out_ += fmt::format(R"(<text x="0" y="{:.0f}">{:.3g}</text>)", kCurve, label(low));
    for (const auto& samples : run_.history.peers()) {
        std::string points;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            if (const auto v = shown(samples[i])) {
                points += fmt::format(
                    "{:.1f},{:.1f} ", x(times_[i]), 2 + kCurve * (1 - (*v - low) / range)
                );
            }
        }
        out_ += R"(<polyline fill="none" stroke="#555" stroke-opacity="0.6" points=")" + points +
                "\"/>";
    }
    marks(kCurve + 4);
    out_ += "</svg>\n";
}

void Page::faults() {
    out_ +=
        "<h2>What was done</h2>\n<table><tr><th>line</th><th>name</th><th>action</th><th>state</th>"
        "<th>done at</th><th>undone at</th><th></th></tr>\n";
    const auto time = [&](const std::optional<Instant>& at) {
        return at ? fmt::format("{:.1f} s", to_seconds(*at - run_.began)) : std::string();
    };
    for (const auto& entry : run_.plan.entries()) {
        out_ += fmt::format(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></"
            "tr>\n",
            entry.step.place.line,
            escaped(entry.step.name),
            escaped(to_string(entry.step.action)),
            to_string(entry.state),
            time(entry.done),
            time(entry.undone),
            escaped(entry.why)
        );
    }
    out_ += "</table>\n";
}

std::string Page::render() {
    const bool clean = run_.judge.count() == 0;
    out_ =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>" +
        escaped(run_.scenario.name) +
        "</title><style>body{font:14px sans-serif;margin:2em;max-width:1000px}svg{font-size:11px}"
        "h1{font-size:20px}h2{font-size:16px}td,th{text-align:left;padding:1px 8px}"
        "pre{background:#f4f4f4;padding:4px}.good{color:#2d7d46}.bad{color:#b03a2e}</style>\n";
    out_ += "<h1>" + escaped(run_.scenario.name) + "</h1>\n";
    out_ += fmt::format(
        "<p class=\"{}\"><b>{}</b></p><p>seed {}, {}, {:.1f} s</p>\n",
        clean ? "good" : "bad",
        escaped(verdict_line(run_.judge, carried_out(run_.plan))),
        run_.scenario.seed,
        to_string(run_.mode),
        run_.seconds
    );
    for (const auto& note : run_.notes) out_ += "<p>" + escaped(note) + "</p>\n";
    findings();
    lanes();
    curve(
        "Training loss", [](const Sample& s) { return s.loss; }, false
    );
    curve(
        "Spread", [](const Sample& s) { return std::optional(s.spread); }, true
    );
    faults();
    out_ += "</html>\n";
    return std::move(out_);
}

}  // namespace

std::string report_html(const Run& run) {
    return Page(run).render();
}

}  // namespace starling::scenario
