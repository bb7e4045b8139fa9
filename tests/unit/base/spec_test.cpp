// Goal: the command line's SPEC syntax parses, prints canonically and explains mistakes.

#include "base/spec.hpp"

#include <gtest/gtest.h>

namespace starling {
namespace {

TEST(Spec, SplitsNamePathAndOptions) {
    const auto spec = Spec::parse("idx:/data/fashion?train=100&test=10");
    ASSERT_TRUE(spec.has_value());
    EXPECT_EQ(spec->name, "idx");
    EXPECT_EQ(spec->path, "/data/fashion");
    EXPECT_EQ(*spec->integer("train", 0, 1, 1000), 100);
    EXPECT_EQ(*spec->integer("absent", 7, 1, 1000), 7);
    EXPECT_EQ(spec->to_string(), "idx:/data/fashion?test=10&train=100");
}

TEST(Spec, APathMayHaveAQuestionMarkAndAnyPercentSign) {
    const std::pair<const char*, const char*> written[] = {
        {"text:is it%3F.txt?context=8", "is it?.txt"},
        {"text:is it%3f.txt?context=8", "is it?.txt"},
        {"text:100%.txt?context=8", "100%.txt"},
        {"text:a%253Fb?context=8", "a%3Fb"},
        {"text:a%41b?context=8", "a%41b"}};
    for (const auto& [text, path] : written) {
        const auto spec = Spec::parse(text);
        ASSERT_TRUE(spec.has_value()) << text;
        EXPECT_EQ(spec->path, path);
        EXPECT_EQ(Spec::parse(spec->to_string())->path, path) << spec->to_string();
        EXPECT_EQ(*spec->integer("context", 0, 1, 9), 8) << text;
    }
    const auto slip = Spec::parse("text:is it?.txt");
    EXPECT_NE(slip.error().message.find("%3F"), std::string::npos) << slip.error().message;
}

TEST(Spec, MistakesNameTheKeyAndWhatIsAllowed) {
    EXPECT_FALSE(Spec::parse("").has_value());
    EXPECT_FALSE(Spec::parse("sgd?lr").has_value());
    EXPECT_FALSE(Spec::parse("sgd?lr=1&lr=2").has_value());
    const auto spec = Spec::parse("sgd?lr=fast&momentum=2");
    ASSERT_TRUE(spec.has_value());
    const auto rate = spec->real("lr", 0.1, 0, 10);
    ASSERT_FALSE(rate.has_value());
    EXPECT_EQ(rate.error().message, "'sgd': lr=fast is not allowed; give a number from 0 to 10");
    EXPECT_FALSE(spec->real("momentum", 0.9, 0, 1).has_value());
    const auto unknown = spec->only("lr");
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().message, "'sgd' has no option 'momentum'; it takes lr");
}

}  // namespace
}  // namespace starling
