// Rows of a table: categories through embeddings, numbers through batch norm, then a fully
// connected net.
//
// Source    Guo and Berkhahn, "Entity Embeddings of Categorical Variables" (arXiv 1604.06737)

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

}  // namespace

Result<Model> build_tabular(
    const Spec& spec, const Task& task, std::int64_t batch, Purpose purpose
) {
    // The data say which columns are categories, unless the spec does.
    Result<std::vector<std::int64_t>> categories = task.categories;
    if (!spec.text("categories", "").empty()) categories = integer_list(spec, "categories", "");
    if (categories.has_error()) return categories.error();
    const auto embed = spec.integer("embed", 8, 1, 1024);
    if (embed.has_error()) return embed.error();
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
        const auto rows = net.embedding("embeds." + std::to_string(i), number, {size, *embed});
        parts.push_back(net.flatten(rows));
    }
    if (named < width)
        parts.push_back(net.batch_norm("bn_cont", columns(net, input, named, width)));
    auto x = parts.size() == 1 ? parts[0] : net.node("Concat", parts, {{"axis", std::int64_t{1}}});
    int layer = 1;
    for (const auto features : *hidden) {
        x = net.relu(net.linear("fc" + std::to_string(layer++), x, features));
    }
    return net.finish(net.linear("fc" + std::to_string(layer), x, task.classes));
}

}  // namespace starling::compute
