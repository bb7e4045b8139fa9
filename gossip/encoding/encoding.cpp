#include "gossip/encoding/encoding.hpp"

#include "gossip/encoding/exact64.hpp"
#include "gossip/encoding/f32.hpp"

namespace starling::gossip {

const ChunkEncoding* find_encoding(Encoding encoding) {
    static const F32Encoding f32;
    static const Exact64Encoding exact64;
    switch (encoding) {
        case Encoding::F32:
            return &f32;
        case Encoding::Exact64:
            return &exact64;
    }
    return nullptr;
}

}  // namespace starling::gossip
