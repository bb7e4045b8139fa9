#include "gossip/encoding/registry.hpp"

#include "gossip/encoding/bf16.hpp"
#include "gossip/encoding/exact64.hpp"
#include "gossip/encoding/f32.hpp"
#include "gossip/encoding/lattice.hpp"

namespace starling::gossip {

const PlainEncoding* find_plain_encoding(Encoding encoding) {
    static const F32Encoding f32;
    static const Exact64Encoding exact64;
    static const Bf16Encoding bf16;
    switch (encoding) {
        case Encoding::F32:
            return &f32;
        case Encoding::Exact64:
            return &exact64;
        case Encoding::Bf16:
            return &bf16;
        case Encoding::Lattice8:
        case Encoding::Lattice4:
            return nullptr;
    }
    return nullptr;
}

const ChunkEncoding* find_encoding(Encoding encoding) {
    static const LatticeEncoding lattice8(8);
    static const LatticeEncoding lattice4(4);
    if (encoding == Encoding::Lattice8) return &lattice8;
    if (encoding == Encoding::Lattice4) return &lattice4;
    return find_plain_encoding(encoding);
}

}  // namespace starling::gossip
