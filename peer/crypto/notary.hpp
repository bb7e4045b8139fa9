#pragma once

// Signs and checks membership's statements with Ed25519.
//
// Thread    one

#include <memory>

#include "membership/notary.hpp"
#include "peer/crypto/identity.hpp"

namespace starling::peer {

/// Returns a notary that signs with the identity's key.
[[nodiscard]] std::shared_ptr<const membership::Notary> make_notary(const Identity& identity);

}  // namespace starling::peer
