#pragma once

// What a peer prints on stdout: for programs one JSON object a line, for people sentences. Notes
// that are only for people go to stderr. Nobody who reads slowly or not at all holds up the peer
// (peer/machine/line_writer.hpp): progress lines are dropped then and counted.
//
// Thread    network

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/instant.hpp"
#include "peer/machine/line_writer.hpp"
#include "peer/terms/record.hpp"

namespace starling::peer {

struct ProgressLine {
    Record record;
    std::size_t members = 0;
    std::uint64_t swarm_samples = 0;
    bool target = false;              ///< the sticky flag is set
    std::optional<double> test_loss;  ///< an estimate, like the record's accuracy
    bool ghost = false;               ///< it stands outside the sum (gossip/averager.hpp)
    std::string waiting;              ///< for what and since when; empty while it waits for nothing
    Duration longest_step{};          ///< as in TrainerReport
};

struct FinalLine {
    std::optional<double> accuracy;  ///< nothing where answers are not just right or wrong
    double loss = 0;
    std::vector<compute::Quality> qualities = {};  ///< what else is known
    /// Where targets are held against the valid split: all above is on this one; else empty.
    std::string split = {};
    /// Of a swarm with such a target: the quality that was held against it.
    std::optional<double> goal = {};
    std::uint64_t samples = 0;
    std::uint64_t steps = 0;
    double spread = 0;
    double seconds = 0;
    std::uint64_t bytes = 0;
    std::uint64_t exchanges = 0;
    std::string model;  ///< the file with the model; empty without a state directory
    /// Of private samples: which share of those of all peers took part to the last.
    std::optional<double> share = {};
    /// Where a split is too large for each peer: on which part of its samples all above is.
    std::optional<double> judged = {};
};

class Reporter {
public:
    explicit Reporter(bool json);

    void set_self(const PeerId& id) { self_ = id; }

    void listening(const std::string& listen, const std::string& http);
    void founded(const SwarmId& swarm, const std::string& model, std::uint64_t parameters);
    /// Tells people how others join: by this address and with this file. Prints nothing with --json.
    void invite(const std::string& listen, const std::string& key, bool loopback);
    /// Tells people what takes time before a peer listens. Prints nothing with --json.
    void busy(const std::string& what);
    void joined(const SwarmId& swarm, const std::string& model, const std::string& via);
    void resumed(const SwarmId& swarm, std::uint64_t steps);
    void progress(const ProgressLine& line);
    /// Tells what has become of a member; its name is empty where none is known.
    void member(std::string_view what, const PeerId& id, const std::string& name);
    void finished(const FinalLine& line);
    void left();
    /// Prints a line for people on stderr, with or without --json.
    void note(const std::string& line);

    /// Waits until all lines are written, at most one second.
    void flush();

    [[nodiscard]] std::uint64_t lines_dropped() const;

private:
    void print_json(const nlohmann::json& line, LineKind kind = LineKind::Event);
    void print_line(const std::string& line, LineKind kind = LineKind::Event);

    bool json_;
    PeerId self_;
    std::string last_state_;
    int plain_countdown_ = 0;
    std::shared_ptr<LineWriter> out_;
    std::shared_ptr<LineWriter> errors_;  ///< the same one if both go to the same place
};

}  // namespace starling::peer
