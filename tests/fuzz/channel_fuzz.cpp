// Goal: whatever arrives where a handshake or sealed frames are expected, a channel says no, or waits, and
// keeps what it holds bounded. Method: the first byte of the input picks the place where the rest of it
// arrives: at an acceptor, at a dialler, in the middle of a handshake, or in a session that is open.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "peer/crypto/channel.hpp"

namespace {

using namespace starling;
using namespace starling::peer;

constexpr std::size_t kRoomMax = std::size_t{64} * 1024;

void require(bool holds) {
    if (!holds) std::abort();
}

/// Gives the channel bytes as a socket would, and reads what they are. Returns false once it says no.
bool give(Channel& to, ByteView bytes) {
    Bytes plain(4096);
    while (!bytes.empty()) {
        const auto room = to.room();
        require(!room.empty() && room.size() <= kRoomMax);
        const auto size = std::min(room.size(), bytes.size());
        std::copy_n(bytes.begin(), size, room.begin());
        if (to.filled(size).has_error()) return false;
        bytes = bytes.subspan(size);
        while (to.open()) {
            const auto got = to.read(plain);
            if (got.has_error()) return false;
            if (*got < plain.size()) break;
        }
    }
    return true;
}

Bytes taken(Channel& from) {
    const Bytes bytes(from.outgoing().begin(), from.outgoing().end());
    from.sent(bytes.size());
    return bytes;
}

/// Alters bytes of a message as the input says: pairs of a place and a value.
Bytes altered(Bytes message, ByteView how) {
    for (std::size_t i = 0; i + 2 < how.size() && !message.empty(); i += 3) {
        const auto at =
            std::to_integer<std::size_t>(how[i]) * 256 + std::to_integer<std::size_t>(how[i + 1]);
        message[at % message.size()] ^= how[i + 2];
    }
    return message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
    const auto keys = open_channel({});
    Channel dialler(ChannelRole::Dialler, keys);
    Channel acceptor(ChannelRole::Acceptor, keys);
    switch (data[0] % 5) {
        case 0:
            (void)give(acceptor, bytes);
            return 0;
        case 1:
            (void)give(dialler, bytes);
            return 0;
        case 2:
            (void)give(acceptor, altered(taken(dialler), bytes));
            (void)give(dialler, taken(acceptor));
            return 0;
        case 3:
            require(give(acceptor, taken(dialler)));
            if (give(dialler, altered(taken(acceptor), bytes)))
                (void)give(acceptor, taken(dialler));
            return 0;
        default:
            require(give(acceptor, taken(dialler)) && give(dialler, taken(acceptor)));
            require(give(acceptor, taken(dialler)) && dialler.open() && acceptor.open());
            (void)give(acceptor, bytes);
            dialler.seal({bytes});
            require(give(dialler, {}));
            return 0;
    }
}
