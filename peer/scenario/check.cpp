#include "peer/scenario/check.hpp"

#include <fmt/format.h>
#include <optional>
#include <string>
#include <vector>

#include "base/printable.hpp"
#include "peer/scenario/words.hpp"

namespace starling::scenario {
namespace {

class Checker {
public:
    Checker(const Scenario& scenario, std::string_view name, Mode mode)
        : scenario_(scenario),
          name_(name),
          mode_(mode) {}

    Result<void> run() {
        check_steps();
        if (fault_) return *fault_;
        return {};
    }

private:
    void fail_at(Place place, const std::string& message);
    void check_peers(const Who& who, Place place);
    void check_terms(const std::vector<Term>& terms, std::size_t step);
    void check_steps();
    [[nodiscard]] bool named_before(const std::string& name, std::size_t step, bool cut) const;

    const Scenario& scenario_;
    std::string_view name_;
    Mode mode_;
    std::optional<Fault> fault_;
};

void Checker::fail_at(Place place, const std::string& message) {
    if (fault_) return;
    fault_ = fail(
        FaultCode::Usage, fmt::format("{}:{}:{}: {}", name_, place.line, place.column, message)
    );
}

void Checker::check_peers(const Who& who, Place place) {
    const auto all = scenario_.peers + scenario_.added();
    for (const auto peer : who.peers) {
        if (peer > all) {
            fail_at(place, fmt::format("there is no peer {}; the scenario has {}", peer, all));
        }
    }
    if (who.kind == Who::Kind::Random && who.count > all) {
        fail_at(place, fmt::format("there are no {} peers; the scenario has {}", who.count, all));
    }
}

bool Checker::named_before(const std::string& name, std::size_t step, bool cut) const {
    for (std::size_t i = 0; i < step; ++i) {
        const auto verb = scenario_.steps[i].action.verb;
        if (scenario_.steps[i].name == name && (!cut || has_sides(verb))) return true;
    }
    return false;
}

void Checker::check_terms(const std::vector<Term>& terms, std::size_t index) {
    const auto place = scenario_.steps[index].place;
    for (const auto& term : terms) {
        if (term.kind == Term::Kind::After && !named_before(term.name, index, false)) {
            fail_at(place, "no step before this one has the name '" + excerpt(term.name) + "'");
        }
        if (term.kind == Term::Kind::Says) check_peers(these({term.peer}), place);
        const bool real = term.kind == Term::Kind::AccuracyAbove || term.kind == Term::Kind::Says;
        if (real && mode_ == Mode::Simulate) {
            fail_at(
                place,
                "virtual peers have no accuracy and print nothing, so '" + to_string(term) +
                    "' is for starling swarm"
            );
        }
    }
}

void Checker::check_steps() {
    if (scenario_.peers + scenario_.added() > kPeersMax) {
        fail_at(scenario_.steps.back().place, fmt::format("more than {} peers in all", kPeersMax));
    }
    for (std::size_t i = 0; i < scenario_.steps.size(); ++i) {
        const auto& step = scenario_.steps[i];
        for (const auto* who : {&step.action.who, &step.action.other}) {
            check_peers(*who, step.place);
            if (who->kind == Who::Kind::Side && !named_before(who->name, i, true)) {
                fail_at(
                    step.place, "no cut before this step has the name '" + excerpt(who->name) + "'"
                );
            }
        }
        check_terms(step.when.terms, i);
        check_terms(step.action.terms, i);
        const auto verb = step.action.verb;
        const bool returns =
            verb == Verb::Restart || verb == Verb::AddressChange || (ends_peer(verb) && step.lasts);
        if (returns && !scenario_.state) {
            fail_at(
                step.place, "a peer without a state directory cannot come back; set state = true"
            );
        }
        if (verb == Verb::Liar && scenario_.peers + scenario_.added() < 2) {
            fail_at(step.place, "a peer that is alone has nobody to lie to");
        }
        const bool on_disk = needs_disk_of_its_own(verb) || verb == Verb::Corrupt;
        if (on_disk && !scenario_.state) {
            fail_at(step.place, "peers have no files without a state directory; set state = true");
        }
    }
    check_peers(these(scenario_.core), {1, 1});
    for (const auto& own : scenario_.own_links) {
        check_peers(these(own.from), own.links.place);
        check_peers(these(own.to), own.links.place);
    }
    for (const auto& repeat : scenario_.repeats) check_peers(repeat.action.who, repeat.place);
}

}  // namespace

Result<void> check(const Scenario& scenario, std::string_view name, Mode mode) {
    return Checker(scenario, name, mode).run();
}

}  // namespace starling::scenario
