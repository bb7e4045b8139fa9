#include "compute/onnx/parameters.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "compute/values/printable.hpp"

namespace starling::compute::onnx {

namespace {

/// What a tensor does in a node. Tensors in different parts are never tied.
enum class Part : std::uint8_t { Weight, Scale, Bias, Mean, Variance, Fixed };

struct Place {
    std::string_view op;
    std::size_t operand;
    Part part;
};

/// The operands in which a constant is a weight. Elsewhere a constant stays one.
constexpr auto kPlaces = std::to_array<Place>({
    {"Conv", 1, Part::Weight},
    {"Conv", 2, Part::Bias},
    {"ConvTranspose", 1, Part::Weight},
    {"ConvTranspose", 2, Part::Bias},
    {"Gemm", 0, Part::Weight},
    {"Gemm", 1, Part::Weight},
    {"Gemm", 2, Part::Bias},
    {"MatMul", 0, Part::Weight},
    {"MatMul", 1, Part::Weight},
    {"PRelu", 1, Part::Weight},
    {"Gather", 0, Part::Weight},
    {"BatchNormalization", 1, Part::Scale},
    {"BatchNormalization", 2, Part::Bias},
    {"BatchNormalization", 3, Part::Mean},
    {"BatchNormalization", 4, Part::Variance},
    {"InstanceNormalization", 1, Part::Scale},
    {"InstanceNormalization", 2, Part::Bias},
    {"GroupNormalization", 1, Part::Scale},
    {"GroupNormalization", 2, Part::Bias},
    {"LayerNormalization", 1, Part::Scale},
    {"LayerNormalization", 2, Part::Bias},
});

const Place* place_of(std::string_view op, std::size_t operand) {
    for (const auto& place : kPlaces) {
        if (place.op == op && place.operand == operand) return &place;
    }
    return nullptr;
}

/// Operators that hand a weight on, turned or reshaped; the first operand is the weight.
bool hands_on(std::string_view op) {
    constexpr auto kOps = std::to_array<std::string_view>(
        {"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}
    );
    return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

const AttributeMessage* attribute_of(const NodeMessage& node, std::string_view name) {
    for (const auto& attribute : node.attributes) {
        if (attribute.name == name) return &attribute;
    }
    return nullptr;
}

/// An Identity, or a cast between floats, which all are the same here.
bool is_copy(const NodeMessage& node) {
    if (node.inputs.size() != 1 || node.outputs.size() != 1 || node.outputs[0].empty()) {
        return false;
    }
    if (node.op == "Identity") return true;
    const auto* to = node.op == "Cast" ? attribute_of(node, "to") : nullptr;
    const auto* type = to == nullptr ? nullptr : std::get_if<std::int64_t>(&to->value);
    return type != nullptr && (*type == static_cast<std::int64_t>(DataType::Float) ||
                               *type == static_cast<std::int64_t>(DataType::Double));
}

/// The floats with axes that a Constant node holds, else nullptr.
const TensorMessage* constant_floats(const NodeMessage& node) {
    const auto* value = node.op == "Constant" ? attribute_of(node, "value") : nullptr;
    if (value == nullptr || !value->tensor.has_value() || node.outputs.size() != 1) return nullptr;
    const auto& tensor = *value->tensor;
    return is_real(tensor.type) && !tensor.shape.empty() ? &tensor : nullptr;
}

/// Returns the number that all elements are, if they are one.
std::optional<float> common_number(const std::vector<float>& values) {
    if (values.empty()) return std::nullopt;
    const bool same =
        std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; });
    return same ? std::optional(values[0]) : std::nullopt;
}

using Index = std::map<std::string, std::size_t, std::less<>>;

Index makers_of(const ModelFile& file) {
    Index makers;
    for (std::size_t i = 0; i < file.nodes.size(); ++i) {
        for (const auto& name : file.nodes[i].outputs) makers.emplace(name, i);
    }
    return makers;
}

/// The results of the instance normalisations that spell out a group normalisation: between two
/// reshapes, with the scale and the bias of the channels behind them. Such a one alone is a
/// normalisation of its own, also if its scale and bias still are ones and zeros.
std::set<std::string> find_group_norms(const ModelFile& file, const Index& makers) {
    std::map<std::string_view, std::vector<const NodeMessage*>> readers;
    for (const auto& node : file.nodes) {
        for (const auto& name : node.inputs) readers[name].push_back(&node);
    }
    const auto only_reader = [&](const NodeMessage& node, std::string_view op) {
        const auto found = readers.find(node.outputs[0]);
        const bool one = found != readers.end() && found->second.size() == 1;
        const auto* reader = one ? found->second[0] : nullptr;
        return reader != nullptr && reader->op == op && reader->outputs.size() == 1 ? reader
                                                                                    : nullptr;
    };
    std::set<std::string> names;
    for (const auto& node : file.nodes) {
        if (node.op != "InstanceNormalization" || node.inputs.size() != 3 ||
            node.outputs.size() != 1) {
            continue;
        }
        const auto before = makers.find(node.inputs[0]);
        const NodeMessage* at = &node;
        if (before == makers.end() || file.nodes[before->second].op != "Reshape") continue;
        for (const auto* op : {"Reshape", "Mul", "Add"}) {
            if (at != nullptr) at = only_reader(*at, op);
        }
        if (at != nullptr) names.insert(node.outputs[0]);
    }
    return names;
}

/// Turns Constant nodes in the place of a weight into initializers.
class Promotion {
public:
    Promotion(ModelFile& file, const Index& makers, const std::set<std::string>& group_norms)
        : file_(file),
          makers_(makers),
          group_norms_(group_norms) {
        for (const auto& tensor : file.initializers) initializers_.insert(tensor.name);
    }

    void run() {
        for (const auto& node : file_.nodes) note_weights(node);
        if (any_weight_) wanted_.insert(plain_norms_.begin(), plain_norms_.end());
        if (wanted_.empty()) return;
        std::vector<NodeMessage> rest;
        for (std::size_t i = 0; i < file_.nodes.size(); ++i) {
            auto& node = file_.nodes[i];
            if (!wanted_.contains(i)) {
                rest.push_back(std::move(node));
                continue;
            }
            auto& tensor = *node.attributes[value_at(node)].tensor;
            tensor.name = node.outputs[0];
            file_.initializers.push_back(std::move(tensor));
        }
        file_.nodes = std::move(rest);
    }

private:
    static std::size_t value_at(const NodeMessage& node) {
        return static_cast<std::size_t>(attribute_of(node, "value") - node.attributes.data());
    }

    /// Returns the Constant node behind an operand, looking through what hands a weight on.
    [[nodiscard]] std::optional<std::size_t> constant_behind(const std::string& name) const {
        constexpr int kStepsMax = 16;
        std::string_view at = name;
        for (int i = 0; i < kStepsMax; ++i) {
            const auto found = makers_.find(at);
            if (found == makers_.end()) return std::nullopt;
            const auto& node = file_.nodes[found->second];
            if (constant_floats(node) != nullptr) return found->second;
            if (!hands_on(node.op) || node.inputs.empty()) return std::nullopt;
            at = node.inputs[0];
        }
        return std::nullopt;
    }

    /// The bias of a MatMul, which has none of its own, is added to its result.
    [[nodiscard]] bool is_bias_of_matmul(const NodeMessage& node, std::size_t operand) const {
        if (node.op != "Add" || node.inputs.size() != 2) return false;
        const auto other = makers_.find(node.inputs[1 - operand]);
        if (other == makers_.end() || file_.nodes[other->second].op != "MatMul") return false;
        const auto found = constant_behind(node.inputs[operand]);
        return found && constant_floats(file_.nodes[*found])->shape.size() == 1;
    }

    struct Facts {
        bool finite = false;
        std::optional<float> number;  ///< which all elements are
    };

    /// Reads a constant once, however many nodes share it.
    const Facts& facts_of(std::size_t constant) {
        const auto [entry, fresh] = facts_.try_emplace(constant);
        if (!fresh) return entry->second;
        const auto values = constant_floats(file_.nodes[constant])->reals();
        // A tensor that cannot be read stays where it is, and the importer reports it.
        if (values.has_error()) return entry->second;
        const auto finite = [](float v) { return std::isfinite(v); };
        entry->second = {
            std::all_of(values->begin(), values->end(), finite), common_number(*values)};
        return entry->second;
    }

    /// A row that is picked by fixed numbers is arithmetic on settings and no embedding.
    [[nodiscard]] bool picks_fixed_rows(const NodeMessage& node) const {
        if (node.op != "Gather" || node.inputs.size() != 2) return false;
        const auto found = makers_.find(node.inputs[1]);
        if (found != makers_.end()) return file_.nodes[found->second].op == "Constant";
        return initializers_.contains(node.inputs[1]);
    }

    void note_weights(const NodeMessage& node) {
        if (!node.outputs.empty() && group_norms_.contains(node.outputs[0])) return;
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            const auto* place = place_of(node.op, i);
            if (place == nullptr && !is_bias_of_matmul(node, i)) continue;
            const auto found = constant_behind(node.inputs[i]);
            if (!found || picks_fixed_rows(node)) continue;
            const auto& facts = facts_of(*found);
            // Infinity is a mask.
            if (!facts.finite) continue;
            const auto part = place == nullptr ? Part::Bias : place->part;
            if (is_plain_norm(node, part, facts.number)) {
                plain_norms_.insert(*found);
            } else {
                wanted_.insert(*found);
                any_weight_ = any_weight_ || part != Part::Bias;
            }
        }
    }

    /// Exporters write a normalisation without scale and bias with ones and zeros as Constant nodes,
    /// while its weights are initializers. Only if other weights are Constant nodes, too, these may
    /// be weights.
    [[nodiscard]] static bool is_plain_norm(
        const NodeMessage& node, Part part, std::optional<float> number
    ) {
        if (!node.op.ends_with("Normalization")) return false;
        return (part == Part::Scale && number == 1.0F) || (part == Part::Bias && number == 0.0F);
    }

    ModelFile& file_;
    const Index& makers_;
    const std::set<std::string>& group_norms_;
    std::set<std::string> initializers_;
    std::map<std::size_t, Facts> facts_;
    std::set<std::size_t> wanted_;
    std::set<std::size_t> plain_norms_;
    bool any_weight_ = false;
};

/// One operand of one node that reads an initializer.
struct Use {
    std::size_t node;
    std::size_t operand;
    std::string name;  ///< as the file has it: that of the initializer or of an Identity
    Part part;
};

/// Gives each part of a shared initializer a tensor of its own.
class Separation {
public:
    Separation(ModelFile& file, const std::set<std::string>& group_norms)
        : file_(file),
          group_norms_(group_norms) {
        for (std::size_t i = 0; i < file.initializers.size(); ++i) {
            const auto& tensor = file.initializers[i];
            const bool weight = is_real(tensor.type) && !tensor.shape.empty();
            // One without a name is refused later, and an empty operand is no operand.
            if (weight && !tensor.name.empty()) sources_.emplace(tensor.name, i);
            taken_.insert(tensor.name);
        }
        for (const auto& input : file.inputs) taken_.insert(input.name);
    }

    Result<Placement> run() {
        for (std::size_t i = 0; i < file_.nodes.size(); ++i) note_uses(i);
        for (const auto& node : file_.nodes)
            taken_.insert(node.outputs.begin(), node.outputs.end());
        for (const auto& [source, uses] : uses_) {
            if (auto ok = separate(source, uses); ok.has_error()) return ok.error();
        }
        drop_replaced_nodes();
        placement_.notes = notes();
        return std::move(placement_);
    }

private:
    /// Notes which operands read initializers, and what Identity nodes stand for.
    void note_uses(std::size_t at) {
        const auto& node = file_.nodes[at];
        if (is_copy(node)) {
            if (const auto found = sources_.find(node.inputs[0]); found != sources_.end()) {
                const auto source = found->second;
                if (sources_.emplace(node.outputs[0], source).second) {
                    copies_.emplace(node.outputs[0], at);
                    return;
                }
            }
        }
        const bool made_up = is_made_up(node);
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            const auto found = sources_.find(node.inputs[i]);
            if (found == sources_.end()) continue;
            const auto* place = place_of(node.op, i);
            auto part = place == nullptr ? Part::Weight : place->part;
            if (made_up) part = Part::Fixed;
            uses_[found->second].push_back({at, i, node.inputs[i], part});
        }
    }

    /// Whether scale and bias of a node are ones and zeros that stand for nothing.
    [[nodiscard]] bool is_made_up(const NodeMessage& node) {
        if (node.outputs.empty() || !group_norms_.contains(node.outputs[0])) return false;
        const auto is = [&](std::size_t operand, float number) {
            const auto found = sources_.find(node.inputs[operand]);
            return found == sources_.end() || number_of(found->second) == number;
        };
        return is(1, 1.0F) && is(2, 0.0F);
    }

    /// Returns the number that all elements of an initializer are, and reads it only once. A tensor
    /// that cannot be read is reported when a node asks for it.
    std::optional<float> number_of(std::size_t source) {
        const auto [entry, fresh] = numbers_.try_emplace(source);
        if (!fresh) return entry->second;
        const auto values = file_.initializers[source].reals();
        if (values.has_value()) entry->second = common_number(*values);
        return entry->second;
    }

    /// Uses with one key share a tensor.
    using Key = std::pair<Part, std::string>;

    Result<void> separate(std::size_t source, const std::vector<Use>& uses) {
        const std::string own = file_.initializers[source].name;
        bool merged = false;
        if (uses.size() > 1) {
            const auto number = number_of(source);
            // A lone number may be a learned factor that the net reads twice on purpose.
            const bool fresh = number == 0.0F || number == 1.0F;
            const bool lone = element_count(file_.initializers[source].shape) == 1;
            merged = number.has_value() && (fresh || !lone);
        }
        const bool named =
            std::any_of(uses.begin(), uses.end(), [&](const Use& use) { return use.name != own; });
        std::map<Key, std::string> names;
        for (const auto& use : uses) {
            Key key{use.part, {}};
            if (merged) key.second = named ? use.name : std::to_string(use.node);
            auto found = names.find(key);
            if (found == names.end()) {
                auto name = names.empty() ? own : copy(source, use.name);
                if (name.empty()) return too_many(own);
                found = names.emplace(key, std::move(name)).first;
            }
            file_.nodes[use.node].inputs[use.operand] = found->second;
            if (use.part == Part::Fixed) placement_.made_up.insert(found->second);
        }
        copies_made_ += names.size() - 1;
        if (names.size() > 1) shared_.push_back(own);
        const bool weight = std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
            return place_of(file_.nodes[use.node].op, use.operand) != nullptr;
        });
        if (weight && names.size() < uses.size()) tied_.push_back(own);
        return {};
    }

    /// Returns the name of the copy, or an empty one if the copies are too large.
    std::string copy(std::size_t source, const std::string& wanted) {
        auto tensor = file_.initializers[source];
        const auto count = tensor.count();
        copied_ += count.has_value() ? *count : 0;
        if (copied_ > kCopiedElementsMax) return {};
        auto name = wanted;
        if (const auto found = copies_.find(wanted); found != copies_.end()) {
            replaced_.insert(found->second);
            copies_.erase(found);
        } else {
            for (int i = 2; taken_.contains(name); ++i) name = wanted + "." + std::to_string(i);
        }
        taken_.insert(name);
        tensor.name = name;
        file_.initializers.push_back(std::move(tensor));
        return name;
    }

    static Fault too_many(const std::string& name) {
        return fail(
            FaultCode::Oversized,
            "onnx: initializer '" + printable(name) +
                "' plays so many parts that its copies would be too large; export the model with a "
                "tensor for each"
        );
    }

    /// An Identity whose name a copy has taken is no longer needed.
    void drop_replaced_nodes() {
        if (replaced_.empty()) return;
        std::vector<NodeMessage> rest;
        for (std::size_t i = 0; i < file_.nodes.size(); ++i) {
            if (!replaced_.contains(i)) rest.push_back(std::move(file_.nodes[i]));
        }
        file_.nodes = std::move(rest);
    }

    [[nodiscard]] std::vector<std::string> notes() const {
        std::vector<std::string> lines;
        if (!shared_.empty()) {
            lines.push_back(
                std::to_string(shared_.size()) +
                " shared tensors of the file played several parts, " + "as '" +
                printable(shared_[0]) + "'; " + std::to_string(copies_made_) +
                " copies of them train apart"
            );
        }
        if (!tied_.empty()) {
            lines.push_back(
                std::to_string(tied_.size()) + " tensors stand in several places, as '" +
                printable(tied_[0]) +
                "', and stay tied; if they only start equal, as copied layers do, " +
                "export the net after some training"
            );
        }
        return lines;
    }

    ModelFile& file_;
    const std::set<std::string>& group_norms_;
    Placement placement_;
    std::map<std::size_t, std::optional<float>> numbers_;
    Index sources_;  ///< the initializer that a name stands for
    Index copies_;   ///< the Identity nodes of initializers, by result
    std::map<std::size_t, std::vector<Use>> uses_;  ///< by initializer
    std::set<std::string, std::less<>> taken_;
    std::set<std::size_t> replaced_;
    std::vector<std::string> shared_;
    std::vector<std::string> tied_;
    std::size_t copies_made_ = 0;
    std::size_t copied_ = 0;
};

}  // namespace

Result<Placement> place_parameters(ModelFile& file) {
    const auto makers = makers_of(file);
    const auto group_norms = find_group_norms(file, makers);
    Promotion(file, makers, group_norms).run();
    return Separation(file, group_norms).run();
}

}  // namespace starling::compute::onnx
