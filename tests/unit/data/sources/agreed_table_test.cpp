// Goal: a labelled table of another peer has the codes and classes of the swarm. Method: small tables, one of which
// is the swarm's.

#include "data/sources/agreed_table.hpp"

#include <cstring>

#include "data/sources/sources.hpp"
#include "data/sources/table_format.hpp"
#include "tests/unit/data/support/sources.hpp"

namespace starling::data {
namespace {

using testing::class_of;
using testing::open;

class AgreedTable : public testing::SourceFiles {};

TEST_F(AgreedTable, AnotherTableIsNumberedAsTheModelsOwn) {
    put("ours.csv", "town,n,y\nBern,1,a\nChur,2,b\nDavos,3,a\nBern,4,b\nChur,5,a\nDavos,6,b\n");
    put("theirs.csv", "town,n,y\nDavos,1,b\nGenf,2,a\nDavos,7,b\nGenf,5,a\n");
    const auto ours = open("csv:" + path("ours.csv") + "?test=0");
    Manifest swarm;
    swarm.schema = ours->schema();
    swarm.recipe = ours->recipe();
    const auto agreed = [&](const std::string& name) {
        const auto spec = *Spec::parse("csv:" + path(name) + "?test=0");
        const ScanOptions options{.strict = false, .like = &swarm};
        return open_agreed_table(spec, options, csv_format());
    };
    const auto theirs = agreed("theirs.csv");
    ASSERT_TRUE(theirs.has_value()) << theirs.error().message;
    EXPECT_EQ((*theirs)->recipe(), ours->recipe());
    EXPECT_EQ((*theirs)->schema(), ours->schema());
    Bytes row;
    ASSERT_TRUE((*theirs)->read(Split::Train, 0, row).has_value());
    float code = 0.0F;
    std::memcpy(&code, row.data(), 4);
    EXPECT_EQ(code, 3.0F) << "Davos";
    row.clear();
    ASSERT_TRUE((*theirs)->read(Split::Train, 1, row).has_value());
    std::memcpy(&code, row.data(), 4);
    EXPECT_EQ(code, 4.0F) << "the model has never seen Genf: unknown, not missing";
    EXPECT_EQ(class_of(**theirs, Split::Train, 0), 1U);
    EXPECT_EQ(class_of(**theirs, Split::Train, 1), 0U);
    put("other.csv", "city,n,y\nDavos,1,b\nGenf,2,a\n");
    EXPECT_EQ(agreed("other.csv").error().code, FaultCode::Usage);
    put("third.csv", "town,n,y\nDavos,1,c\nBern,2,a\n");
    const auto third = agreed("third.csv");
    ASSERT_TRUE(third.has_error()) << "no class c";
    EXPECT_NE(
        third.error().message.find("y \"c\" is not among the model's 2 classes: a, b"),
        std::string::npos
    ) << third.error().message;
}

TEST_F(AgreedTable, ClassesThatAreNumbersAreFoundByTheirNames) {
    put("ours.csv", "n,y\n1,10\n2,20\n3,10\n4,30\n");
    put("theirs.csv", "n,y\n1,30\n2,10.0\n");
    const auto ours = open("csv:" + path("ours.csv") + "?test=0");
    Manifest swarm;
    swarm.schema = ours->schema();
    swarm.recipe = ours->recipe();
    const auto spec = *Spec::parse("csv:" + path("theirs.csv") + "?test=0");
    const auto theirs = open_agreed_table(spec, {.strict = false, .like = &swarm}, csv_format());
    ASSERT_TRUE(theirs.has_value()) << theirs.error().message;
    EXPECT_EQ(class_of(**theirs, Split::Train, 0), 2U);
    EXPECT_EQ(class_of(**theirs, Split::Train, 1), 0U);
}

}  // namespace
}  // namespace starling::data
