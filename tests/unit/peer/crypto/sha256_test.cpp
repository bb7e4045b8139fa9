// Goal: our hash is SHA-256, whole and in pieces. Method: known answers.

#include "peer/crypto/sha256.hpp"

#include <gtest/gtest.h>
#include <string>

namespace starling::peer {
namespace {

TEST(Sha256, KnownAnswersWholeAndInPieces) {
    // FIPS 180-2, appendix B.1, and the empty message.
    const auto hex = [](const Digest& digest) {
        std::string text;
        for (const auto byte : digest) {
            text += "0123456789abcdef"[byte >> 4U];
            text += "0123456789abcdef"[byte & 15U];
        }
        return text;
    };
    const std::string abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    EXPECT_EQ(hex(sha256(as_byte_view("abc"))), abc);
    EXPECT_EQ(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    Sha256 pieces;
    pieces.update(as_byte_view("a"));
    pieces.update({});
    pieces.update(as_byte_view("bc"));
    EXPECT_EQ(hex(pieces.finish()), abc);
}

}  // namespace
}  // namespace starling::peer
