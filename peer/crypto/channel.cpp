#include "peer/crypto/channel.hpp"

#include <algorithm>
#include <cstring>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string_view>

#include "base/check.hpp"
#include "peer/crypto/channel_context.hpp"

namespace starling::peer {

namespace {

/// A ClientHello of ours has about 250 bytes; others may be longer, and come in several pieces.
constexpr std::size_t kShakingRoom = 4096;
constexpr std::size_t kOpenRoom = std::size_t{64} * 1024;
constexpr std::string_view kMemberName = "starling 2 member";
constexpr std::string_view kGuestName = "starling 2 guest";
constexpr std::string_view kBindingLabel = "EXPORTER-starling-hello-2";

const unsigned char* raw(const char* text) {
    return reinterpret_cast<const unsigned char*>(text);
}

bool names(std::string_view name, const unsigned char* id, std::size_t size) {
    return size == name.size() && std::memcmp(id, name.data(), size) == 0;
}

/// Everybody knows it: it keeps out nobody, and passive readers that do not speak first.
SwarmKey guest_key() {
    return derive_key({}, {}, as_byte_view("starling guest stream"));
}

SSL_SESSION* session_of(SSL* ssl, const SwarmKey& key) {
    SSL_SESSION* made = SSL_SESSION_new();
    STARLING_CHECK(made != nullptr);
    // Any of the suites will do: only the hash counts, and they share it.
    constexpr std::array<unsigned char, 2> kSuite{0x13, 0x01};
    const bool ready = SSL_SESSION_set1_master_key(made, key.bytes.data(), key.bytes.size()) == 1 &&
                       SSL_SESSION_set_cipher(made, SSL_CIPHER_find(ssl, kSuite.data())) == 1 &&
                       SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION) == 1;
    STARLING_CHECK(ready);
    return made;
}

}  // namespace

/// What OpenSSL calls, with the channel that it concerns.
struct ChannelCallbacks {
    static Channel& of(SSL* ssl) { return *static_cast<Channel*>(SSL_get_app_data(ssl)); }

    static Channel& of(BIO* bio) { return *static_cast<Channel*>(BIO_get_data(bio)); }

    /// Server: which key has the name that the client gives?
    static int find(SSL* ssl, const unsigned char* id, std::size_t size, SSL_SESSION** found) {
        auto& channel = of(ssl);
        *found = nullptr;
        if (names(kMemberName, id, size) && channel.keys_.member) {
            channel.admission_ = Admission::Member;
            *found = session_of(ssl, *channel.keys_.member);
        } else if (names(kGuestName, id, size) && channel.keys_.guests) {
            channel.admission_ = Admission::Guest;
            *found = session_of(ssl, guest_key());
        }
        return 1;
    }

    /// Client: which key do we use?
    static int use(
        SSL* ssl,
        const EVP_MD* hash,
        const unsigned char** id,
        std::size_t* size,
        SSL_SESSION** used
    ) {
        auto& channel = of(ssl);
        *used = nullptr;
        if (hash != nullptr && EVP_MD_get_type(hash) != NID_sha256) return 1;
        const bool guest = channel.admission_ == Admission::Guest;
        const auto name = guest ? kGuestName : kMemberName;
        *id = raw(name.data());
        *size = name.size();
        *used = session_of(ssl, guest ? guest_key() : *channel.keys_.member);
        return 1;
    }

    static int read(BIO* bio, char* into, int size) {
        auto& channel = of(bio);
        BIO_clear_retry_flags(bio);
        const auto here = channel.in_end_ - channel.in_at_;
        if (here == 0) {
            BIO_set_retry_read(bio);
            return -1;
        }
        const auto taken = std::min(here, static_cast<std::size_t>(size));
        std::memcpy(into, channel.in_.data() + channel.in_at_, taken);
        channel.in_at_ += taken;
        return static_cast<int>(taken);
    }

    static int write(BIO* bio, const char* from, int size) {
        ByteWriter(of(bio).out_).put_bytes(as_byte_view({from, static_cast<std::size_t>(size)}));
        return size;
    }

    static long control(BIO* /*bio*/, int what, long /*number*/, void* /*pointer*/) {
        return what == BIO_CTRL_FLUSH ? 1 : 0;
    }

    static BIO* make(Channel& channel) {
        static BIO_METHOD* const method = [] {
            BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "channel");
            STARLING_CHECK(made != nullptr);
            BIO_meth_set_read(made, read);
            BIO_meth_set_write(made, write);
            BIO_meth_set_ctrl(made, control);
            return made;
        }();
        BIO* bio = BIO_new(method);
        STARLING_CHECK(bio != nullptr);
        BIO_set_data(bio, &channel);
        BIO_set_init(bio, 1);
        return bio;
    }
};

namespace {

/// TLS 1.3 only, without anything that outlives a session.
SSL_CTX* make_context(const SSL_METHOD* method) {
    SSL_CTX* context = SSL_CTX_new(method);
    STARLING_CHECK(context != nullptr);
    const bool ready = SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                       SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                       SSL_CTX_set_ciphersuites(context, channel_suites().c_str()) == 1 &&
                       SSL_CTX_set1_groups_list(context, "X25519") == 1 &&
                       SSL_CTX_set_num_tickets(context, 0) == 1;
    STARLING_CHECK(ready);
    SSL_CTX_set_options(
        context,
        SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
            SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF
    );
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_psk_find_session_callback(context, ChannelCallbacks::find);
    SSL_CTX_set_psk_use_session_callback(context, ChannelCallbacks::use);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    log_channel_secrets(context);
    return context;
}

SSL_CTX* context_of(ChannelRole role) {
    static SSL_CTX* const dialler = [] {
        SSL_CTX* made = make_context(TLS_client_method());
        // An acceptor may offer a certificate instead of the key. None is ever good.
        SSL_CTX_set_verify(made, SSL_VERIFY_PEER, nullptr);
        return made;
    }();
    static SSL_CTX* const acceptor = make_context(TLS_server_method());
    return role == ChannelRole::Dialler ? dialler : acceptor;
}

}  // namespace

ChannelKeys keyed_channel(const SwarmKey& key) {
    return {derive_key(key, {}, as_byte_view("starling keyed stream")), false};
}

ChannelKeys open_channel(const SwarmId& swarm) {
    return {derive_key({}, swarm, as_byte_view("starling open stream")), true};
}

ChannelKeys guest_channel() {
    return {std::nullopt, true};
}

void Channel::Free::operator()(ssl_st* session) const {
    SSL_free(session);
}

Channel::Channel(ChannelRole role, const ChannelKeys& keys)
    : keys_(keys),
      session_(SSL_new(context_of(role))) {
    STARLING_CHECK(session_ != nullptr);
    auto* session = session_.get();
    SSL_set_app_data(session, this);
    BIO* bio = ChannelCallbacks::make(*this);
    SSL_set_bio(session, bio, bio);
    if (role == ChannelRole::Acceptor) {
        SSL_set_accept_state(session);
        return;
    }
    STARLING_CHECK(keys_.member || keys_.guests);
    admission_ = keys_.member ? Admission::Member : Admission::Guest;
    SSL_set_connect_state(session);
    const auto begun = shake();
    STARLING_CHECK(begun.has_value());
}

Channel::~Channel() = default;

std::span<std::byte> Channel::room() {
    if (in_at_ == in_end_) in_at_ = in_end_ = 0;
    const auto size = open_ ? kOpenRoom : kShakingRoom;
    if (in_.size() < size) in_.resize(size);
    return std::span(in_).subspan(in_end_);
}

Result<void> Channel::filled(std::size_t bytes) {
    in_end_ += bytes;
    STARLING_CHECK(in_end_ <= in_.size());
    if (open_) return {};
    return shake();
}

Result<void> Channel::shake() {
    ERR_clear_error();
    auto* session = session_.get();
    const int result = SSL_do_handshake(session);
    if (result != 1) {
        const int error = SSL_get_error(session, result);
        if (error == SSL_ERROR_WANT_READ) return {};
        return why_not();
    }
    // With a certificate there would be a session without our key, however it came about.
    if (SSL_session_reused(session) != 1) {
        return fail(FaultCode::Refused, "a session without the swarm's key");
    }
    const int exported = SSL_export_keying_material(
        session,
        binding_.data(),
        binding_.size(),
        kBindingLabel.data(),
        kBindingLabel.size(),
        nullptr,
        0,
        0
    );
    STARLING_CHECK(exported == 1);
    open_ = true;
    OPENSSL_cleanse(&keys_, sizeof(keys_));
    return {};
}

/// Says why the handshake has failed. Of two sides with different keys, the acceptor finds the proof
/// in the dialler's first message wrong, and the dialler hears an alert.
Fault Channel::why_not() {
    const auto reason = ERR_GET_REASON(ERR_peek_error());
    ERR_clear_error();
    switch (reason) {
        case SSL_R_BINDER_DOES_NOT_VERIFY:
        case SSL_R_BAD_PSK:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_CERTIFICATE_SET:
            return fail(FaultCode::Refused, "it does not hold the swarm's key");
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
        case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
        case SSL_R_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY:
            return fail(FaultCode::Refused, "it holds another swarm key");
        default:
            return fail(FaultCode::BadFormat, "no starling peer of this release");
    }
}

Result<std::size_t> Channel::read(std::span<std::byte> into) {
    STARLING_CHECK(open_);
    std::size_t total = 0;
    while (total < into.size()) {
        std::size_t got = 0;
        ERR_clear_error();
        const int result =
            SSL_read_ex(session_.get(), into.data() + total, into.size() - total, &got);
        total += got;
        if (result == 1) continue;
        if (SSL_get_error(session_.get(), result) == SSL_ERROR_WANT_READ) break;
        ERR_clear_error();
        if (total > 0) break;  // what came before counts; the next call says what is wrong
        return fail(FaultCode::BadFormat, "the stream was altered on its way");
    }
    return total;
}

void Channel::seal(const std::vector<ByteView>& plaintext) {
    STARLING_CHECK(open_);
    for (auto view : plaintext) {
        // Whole records leave from where they are; the rest waits for what follows it.
        if (!joint_.empty()) {
            const auto taken = std::min(view.size(), kRecordMax - joint_.size());
            ByteWriter(joint_).put_bytes(view.first(taken));
            view = view.subspan(taken);
            if (joint_.size() == kRecordMax) seal_record();
        }
        const auto whole = view.size() - view.size() % kRecordMax;
        if (whole > 0) write(view.first(whole));
        view = view.subspan(whole);
        ByteWriter(joint_).put_bytes(view);
    }
    seal_record();
}

void Channel::seal_record() {
    if (joint_.empty()) return;
    write(joint_);
    joint_.clear();
}

void Channel::write(ByteView plaintext) {
    ERR_clear_error();
    std::size_t written = 0;
    const int result = SSL_write_ex(session_.get(), plaintext.data(), plaintext.size(), &written);
    // Nothing blocks: what is sealed goes into memory.
    STARLING_CHECK(result == 1 && written == plaintext.size());
}

ByteView Channel::outgoing() {
    if (sent_ == leaving_.size() && !out_.empty()) {
        leaving_.clear();
        leaving_.swap(out_);
        sent_ = 0;
    }
    return ByteView(leaving_).subspan(sent_);
}

void Channel::sent(std::size_t bytes) {
    sent_ += bytes;
    STARLING_CHECK(sent_ <= leaving_.size());
}

}  // namespace starling::peer
