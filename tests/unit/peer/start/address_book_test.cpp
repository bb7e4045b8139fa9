// Goal: the next life of a peer knows its own address and those of others, and a file that is damaged
// or of another swarm misleads nobody. Method: files in directories that a test fills.

#include "peer/start/address_book.hpp"

#include <gtest/gtest.h>

#include "tests/support/temporary_directory.hpp"

namespace starling::peer {
namespace {

namespace fs = std::filesystem;

SwarmId swarm(std::uint8_t byte) {
    SwarmId id;
    id.bytes.fill(byte);
    return id;
}

Endpoint port(std::uint16_t number) {
    return Endpoint::v4(0x7f000001, number);
}

class AddressBooks : public ::testing::Test {
protected:
    fs::path state(const char* name) const {
        const auto path = directory_.path() / name;
        fs::create_directories(path);
        return path;
    }

    fs::path state(const char* name, const AddressBook& book) const {
        const auto path = state(name);
        EXPECT_TRUE(write_address_book(path, book).has_value());
        return path;
    }

    starling::testing::TemporaryDirectory directory_;
};

TEST_F(AddressBooks, WhatWasWrittenIsRead) {
    const AddressBook book{swarm(0xa7), port(1), {port(2), *Endpoint::parse("[2001:db8::7]:3")}};
    const auto read = read_address_book(state("a", book));
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(*read, book);
}

TEST_F(AddressBooks, ADamagedFileIsRefusedAndLinesOfLaterReleasesAreNot) {
    const auto path = state("a", {swarm(1), port(1), {port(2)}});
    const auto hex = swarm(1).hex();
    for (const auto& text :
         {std::string(),
          std::string("swarm 12\n"),
          "swarm " + hex + "\n",
          "swarm " + hex.substr(1) + "g\nself 127.0.0.1:1\n",
          "swarm " + hex + "\nself 127.0.0.1:1\nmember nowhere\n"}) {
        starling::testing::write_quickly(address_book_path(path), as_byte_view(text));
        EXPECT_EQ(read_address_book(path).error().code, FaultCode::BadFormat) << text;
    }
    const auto newer = "swarm " + hex + "\nself 127.0.0.1:1\nrelay 127.0.0.1:9\n";
    starling::testing::write_quickly(address_book_path(path), as_byte_view(newer));
    EXPECT_TRUE(read_address_book(path).has_value());
    EXPECT_EQ(read_address_book(state("empty")).error().code, FaultCode::NotFound);
}

TEST_F(AddressBooks, PeersOfOneSwarmFindEachOtherSideBySide) {
    const auto ours = state("a", {swarm(1), port(1), {}});
    state("b", {swarm(1), port(2), {}});
    state("c", {swarm(2), port(3), {}});
    state("no state");
    EXPECT_EQ(neighbours(ours, swarm(1)), std::vector<Endpoint>{port(2)});
    EXPECT_TRUE(neighbours(directory_.path() / "nowhere", swarm(1)).empty());
}

TEST_F(AddressBooks, OnlyAPeerThatIsToldNothingElseJoinsTheMembersOfItsLastLife) {
    PeerConfig config;
    EXPECT_TRUE(seeds_of_last_life(config).empty());
    config.state = state("a", {swarm(1), port(1), {port(4)}});
    state("b", {swarm(1), port(2), {}});
    const std::vector<std::string> expected{port(4).to_string(), port(2).to_string()};
    EXPECT_EQ(seeds_of_last_life(config), expected);
    auto founder = config;
    founder.dataset = "idx:somewhere";
    EXPECT_TRUE(seeds_of_last_life(founder).empty());
    auto joiner = config;
    joiner.join = {"127.0.0.1:9"};
    EXPECT_TRUE(seeds_of_last_life(joiner).empty());
    starling::testing::write_quickly(config.state / "checkpoint", as_byte_view("any"));
    EXPECT_TRUE(seeds_of_last_life(config).empty()) << "it resumes";
}

}  // namespace
}  // namespace starling::peer
