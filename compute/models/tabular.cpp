// Rows of a table: categories through embeddings, beside them the numbers, which the data's recipe
// has standardised, then a fully connected net. docs/decisions/0027-tables.md says why.
//
// Source    Guo and Berkhahn, "Entity Embeddings of Categorical Variables" (arXiv 1604.06737)

#include <algorithm>

#include "compute/models/models.hpp"

namespace starling::compute {

namespace {

/// Columns [begin, end) of the input.
ValueId columns(ModelBuilder& net, ValueId x, std::int64_t begin, std::int64_t end) {
    using Ints = std::vector<std::int64_t>;
    return net.node(
        "Slice", {x}, {{"axes", Ints{1}}, {"starts", Ints{begin}}, {"ends", Ints{end}}}
    );
}

/// Of `embed=auto`: half of the codes, as many as a table of them can tell apart, but not many.
std::int64_t embedding_width(std::int64_t codes) {
    constexpr std::int64_t kWidest = 32;
    return std::min(kWidest, (codes + 1) / 2);
}

/// Joins any number of parts; an operator takes so many.
ValueId joined(ModelBuilder& net, std::vector<ValueId> parts) {
    constexpr std::size_t kJoinedMax = 64;
    while (parts.size() > 1) {
        std::vector<ValueId> fewer;
        for (std::size_t i = 0; i < parts.size(); i += kJoinedMax) {
            const auto begin = parts.begin() + static_cast<std::ptrdiff_t>(i);
            const auto count = std::min(kJoinedMax, parts.size() - i);
            std::vector<ValueId> some(begin, begin + static_cast<std::ptrdiff_t>(count));
            fewer.push_back(
                some.size() == 1 ? some[0] : net.node("Concat", some, {{"axis", std::int64_t{1}}})
            );
        }
        parts = std::move(fewer);
    }
    return parts[0];
}

/// One score s for two classes stands as the scores 0 and s: their softmax is s's sigmoid, and the
/// cross entropy of the one is the binary cross entropy of the other, class weights 1 and w included
/// (`pos_weight`). So whatever reads scores of classes need not know.
ValueId with_zero(ModelBuilder& net, ValueId score) {
    return net.node("Pad", {score}, {{"pads", std::vector<std::int64_t>{0, 1, 0, 0}}});
}

}  // namespace

Result<Model> build_tabular(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
) {
    // The data say which columns are categories, unless the spec does.
    Result<std::vector<std::int64_t>> categories = task.categories;
    if (!spec.text("categories", "").empty()) categories = integer_list(spec, "categories", "");
    if (categories.has_error()) return categories.error();
    const auto embed = spec.integer("embed", 0, 1, 1024);
    if (embed.has_error()) return embed.error();
    const auto norm = spec.integer("norm", 0, 0, 1);
    if (norm.has_error()) return norm.error();
    const auto hidden = integer_list(spec, "hidden", "128,64");
    if (hidden.has_error()) return hidden.error();
    ModelBuilder net(task, batch, purpose);
    const auto input = net.flatten(net.input());
    const auto width = net.shape(input)[1];
    const auto named = static_cast<std::int64_t>(categories->size());
    if (named > width) {
        return fail(
            FaultCode::Usage,
            "'tabular': more categories than the " + std::to_string(width) + " columns of a sample"
        );
    }
    std::vector<ValueId> parts;
    for (std::int64_t i = 0; i < named; ++i) {
        const auto column = columns(net, input, i, i + 1);
        const auto number = net.node("Cast", {column}, {{"to", std::string("int32")}});
        const auto size = (*categories)[static_cast<std::size_t>(i)];
        const auto wide = *embed > 0 ? *embed : embedding_width(size);
        const auto rows = net.embedding("embeds." + std::to_string(i), number, {size, wide});
        parts.push_back(net.flatten(rows));
    }
    if (named < width) {
        const auto numbers = named == 0 ? input : columns(net, input, named, width);
        parts.push_back(*norm == 1 ? net.batch_norm("bn_cont", numbers) : numbers);
    }
    auto x = joined(net, std::move(parts));
    int layer = 1;
    for (const auto features : *hidden) {
        x = net.relu(net.linear("fc" + std::to_string(layer++), x, features));
    }
    const bool binary = task.kind == LabelKind::Class && task.classes == 2;
    const auto scores = net.linear("fc" + std::to_string(layer), x, binary ? 1 : task.classes);
    return net.finish(binary ? with_zero(net, scores) : scores);
}

}  // namespace starling::compute
