// Goal: the elements of an input that choose rows of a table are found, and no others.
// Method: graphs with a table behind operators that move elements, and behind one that computes.

#include "compute/graph/table_rows.hpp"

#include <gtest/gtest.h>

#include "compute/models/models.hpp"

namespace starling::compute {
namespace {

using Ints = std::vector<std::int64_t>;

struct Tables {
    Graph graph;
    ValueId input = graph.add_input("values", {{2, 2, 3}, ElementType::F32});

    ValueId node(const char* op, std::vector<ValueId> inputs, Attributes attributes = {}) {
        return graph.emit(op, std::move(inputs), std::move(attributes))[0];
    }

    ValueId whole(ValueId x) { return node("Cast", {x}, {{"to", std::string("int32")}}); }

    void gather(std::int64_t rows, ValueId indices) {
        ParameterInfo table;
        table.name = "table" + std::to_string(graph.parameters().size());
        table.shape = {rows, 4};
        const auto id = graph.add_parameter(std::move(table));
        (void)node("Gather", {id, indices});
    }
};

TEST(TableRows, WithoutATableThereAreNone) {
    Tables t;
    (void)t.node("Relu", {t.input});
    EXPECT_TRUE(table_rows(t.graph, t.input).empty());
}

TEST(TableRows, EveryElementOfASampleMayChoose) {
    Tables t;
    t.gather(7, t.whole(t.node("Flatten", {t.input})));
    EXPECT_EQ(table_rows(t.graph, t.input), Ints(6, 7));
}

TEST(TableRows, SlicesAndTransposesAreFollowedAndTheSmallestTableCounts) {
    Tables t;
    // [2,2,3] -> [2,3,2] -> its rows 1 and 2: elements 1, 4, 2, 5 of a sample.
    const auto turned = t.node("Transpose", {t.input}, {{"perm", Ints{0, 2, 1}}});
    const auto part =
        t.node("Slice", {turned}, {{"axes", Ints{1}}, {"starts", Ints{1}}, {"ends", Ints{3}}});
    t.gather(7, t.whole(part));
    EXPECT_EQ(table_rows(t.graph, t.input), (Ints{0, 7, 7, 0, 7, 7}));
    const auto last =
        t.node("Slice", {part}, {{"axes", Ints{1}}, {"starts", Ints{1}}, {"ends", Ints{2}}});
    t.gather(3, t.whole(last));
    t.gather(9, t.whole(last));
    EXPECT_EQ(table_rows(t.graph, t.input), (Ints{0, 7, 3, 0, 7, 3}));
}

TEST(TableRows, BehindArithmeticTheInputSaysNothingAboutTheRow) {
    Tables t;
    t.gather(7, t.whole(t.node("Neg", {t.input})));
    EXPECT_TRUE(table_rows(t.graph, t.input).empty());
}

TEST(TableRows, OfModelsAreTheirVocabularyAndTheirCategories) {
    const auto gpt = build_model("gpt?layers=1&heads=1&dim=8", {{5}, 11}, 3);
    ASSERT_TRUE(gpt.has_value()) << gpt.error().message;
    EXPECT_EQ(table_rows(gpt->graph, gpt->values), Ints(5, 11));
    const auto table = build_model("tabular?categories=3,9", {{4}, 2}, 3);
    ASSERT_TRUE(table.has_value()) << table.error().message;
    EXPECT_EQ(table_rows(table->graph, table->values), (Ints{3, 9, 0, 0}));
}

}  // namespace
}  // namespace starling::compute
