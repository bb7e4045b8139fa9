#pragma once

// What the swarm command knows about each of its peers. It learns it from the JSON lines that they
// print. The table and the verdict are functions of these plain values.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/metrics/quality.hpp"
#include "peer/machine/process.hpp"

namespace starling::peer {

/// What a peer reports at its end.
struct FinalReport {
    std::optional<double> accuracy;  ///< on the whole test set, as the loss
    std::optional<double> loss;
    double spread = 0;
    double seconds = 0;
    std::uint64_t samples = 0;
    std::uint64_t steps = 0;
    std::uint64_t exchanges = 0;
    std::uint64_t bytes = 0;
    std::string model{};  ///< the file with its model; empty: none was written
    std::vector<compute::Quality> qualities{};  ///< what else is known
    std::optional<double> goal{};               ///< the quality that was held against the target
    std::optional<double> share{};  ///< of all private samples, those that took part to the last
};

struct PeerView {
    std::size_t index = 0;  ///< counts from 1
    std::string id;         ///< 64 hexadecimal digits, empty before `listening`
    std::string listen;
    std::string http;
    std::string state = "starting";
    std::uint64_t steps = 0;
    std::uint64_t samples = 0;
    std::uint64_t exchanges = 0;
    std::uint64_t bytes = 0;  ///< sent on streams
    std::uint64_t shards = 0;
    std::uint64_t held = 0;
    std::uint64_t members = 0;  ///< that it lists as alive, itself included
    std::uint64_t swarm_samples = 0;
    double samples_per_s = 0;
    double spread = 0;
    std::optional<double> loss;       ///< of training
    std::optional<double> test_loss;  ///< an estimate, like the accuracy
    std::optional<double> accuracy;
    std::optional<compute::Quality> quality;  ///< an estimate of the one that the swarm watches
    bool target = false;
    bool ghost = false;  ///< it stands outside the sum
    std::optional<FinalReport> final_report;
    std::optional<ProcessExit> exit;
    bool hit = false;  ///< a fault has ended it, and it was not started again
    std::string last_error_line;

    /// Returns the final report. A peer that was asked to leave gives none: then it is what the peer
    /// last said.
    [[nodiscard]] std::optional<FinalReport> reached() const;

    [[nodiscard]] bool living() const { return !exit && !hit; }

    /// Returns the first eight digits of the id, which tell peers apart.
    [[nodiscard]] std::string short_id() const { return id.substr(0, 8); }
};

enum class PeerEventKind {
    Listening,
    Progress,
    Member,
    Final,
    Other,    ///< an object of another kind; we only pass it on
    NotJson,  ///< no object: free text on the wrong stream
};

struct PeerEvent {
    PeerEventKind kind = PeerEventKind::NotJson;
    std::string what;    ///< of a member event: up, failed, left ...
    std::string member;  ///< of a member event: the id of the member
};

/// Reads one line of a peer's output into its view. A field that is missing or of another type does
/// not change the view: a peer of another release may print more or less.
PeerEvent apply_line(PeerView& view, std::string_view line);

/// Returns the object with `"peer":index` added, or nothing if the line is no object.
[[nodiscard]] std::optional<std::string> with_peer_index(std::string_view line, std::size_t index);

}  // namespace starling::peer
