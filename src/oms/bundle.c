/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "oms/bundle.h"

#include "base/text.h"
#include "oms/internal.h"
#include "oms/intoto.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#define MEDIA_TYPE STR("application/vnd.dev.sigstore.bundle.v0.3+json")
#define VALUES_MOST 4096 /* the largest part is the proofs of Sigstore's log, some hundred hashes */

static enum status read_key(struct arena *arena, const json_t *value, struct oms_bundle *out, struct error *err)
{
    struct str hint = json_get_str(value, "hint"), bytes;
    out->method = OMS_BY_KEY;
    if (str_given(hint) && hint.len > 0 && hint.len <= 1024)
        out->hint = arena_copy(arena, hint);
    else if (json_object_get(value, "hint") && !json_is_null(json_object_get(value, "hint")))
        return fail(err, INVALID, NULL,
                    "The \"hint\" of the bundle's \"publicKey\" should be a string of 1 to 1024 bytes.");
    else /* from before 1.1; the key is not taken from here, since anybody can write theirs */
        TRY(member_base64(arena, value, "rawBytes", "The \"hint\" of the bundle's \"publicKey\"", &bytes, err));
    return OK;
}

static enum status read_chain(struct arena *arena, const json_t *value, struct oms_bundle *out, struct error *err)
{
    const json_t *list = json_object_get(value, "certificates");
    size_t count = json_array_size(list);
    if (count == 0 || count > CHAIN_MOST)
        return fail(err, INVALID, NULL, "The bundle's \"certificates\" should be a list of 1 to %d.", CHAIN_MOST);
    out->method = OMS_BY_CERTIFICATE;
    out->certificates = arena_array(arena, count, sizeof *out->certificates);
    for (; out->certificate_count < count; out->certificate_count++)
        TRY(member_base64(arena, json_array_get(list, out->certificate_count), "rawBytes",
                          "The \"rawBytes\" of a certificate in the bundle", &out->certificates[out->certificate_count],
                          err));
    return OK;
}

static enum status read_sigstore(struct arena *arena, const json_t *value, const json_t *entries,
                                 struct oms_bundle *out, struct error *err)
{
    if (json_array_size(entries) == 0)
        return fail(err, INVALID, NULL, "A bundle with a Sigstore certificate should have \"tlogEntries\".");
    out->method = OMS_BY_SIGSTORE;
    out->certificates = arena_array(arena, 1, sizeof *out->certificates);
    out->certificate_count = 1;
    return member_base64(arena, value, "rawBytes", "The \"rawBytes\" of the bundle's certificate", out->certificates,
                         err);
}

static enum status read_material(struct arena *arena, const json_t *value, struct oms_bundle *out, struct error *err)
{
    static const char *const names[] = {"publicKey",   "x509CertificateChain",      "certificate",
                                        "tlogEntries", "timestampVerificationData", NULL};
    TRY(members_only(value, "The bundle's \"verificationMaterial\"", names, err));
    const json_t *key = json_object_get(value, names[0]), *chain = json_object_get(value, names[1]);
    const json_t *leaf = json_object_get(value, names[2]), *entries = json_object_get(value, names[3]);
    if ((key != NULL) + (chain != NULL) + (leaf != NULL) != 1)
        return fail(err, INVALID, NULL,
                    "The bundle's \"verificationMaterial\" should have one of publicKey, x509CertificateChain and "
                    "certificate.");
    if (entries && !json_is_array(entries))
        return fail(err, INVALID, NULL, "The bundle's \"tlogEntries\" should be a list.");
    if (key)
        return read_key(arena, key, out, err);
    return chain ? read_chain(arena, chain, out, err) : read_sigstore(arena, leaf, entries, out, err);
}

enum status oms_bundle_read(struct arena *arena, struct str text, struct oms_bundle *out, struct error *err)
{
    static const char *const names[] = {"mediaType", "verificationMaterial", "dsseEnvelope", NULL};
    auto_json json_t *root = NULL;
    *out = (struct oms_bundle){0};
    if (text.len > OMS_BUNDLE_MOST)
        return fail(err, TOO_LARGE, NULL, "The bundle has %zu bytes; %d are allowed.", text.len, OMS_BUNDLE_MOST);
    TRY(strict_json(text, "The bundle", VALUES_MOST, &root, err));
    TRY(members_only(root, "The bundle", names, err));
    struct str type = json_get_str(root, "mediaType");
    if (!str_given(type))
        return fail(err, INVALID, NULL, "This is not a Sigstore bundle: it has no \"mediaType\".");
    if (!str_eq(type, MEDIA_TYPE))
        return fail(err, UNSUPPORTED, NULL, "The bundle's \"mediaType\" should be \"%s\".", MEDIA_TYPE.data);
    TRY(read_material(arena, json_object_get(root, "verificationMaterial"), out, err));
    TRY(dsse_read_json(arena, json_object_get(root, "dsseEnvelope"), &out->envelope, err));
    if (out->envelope.count != 1)
        return fail(err, INVALID, NULL, "The bundle should have one signature; it has %zu.", out->envelope.count);
    return OK;
}

/* The signature first; then its type, which it covers; then what it says. */
static enum status verify_and_read(struct arena *arena, const struct oms_bundle *bundle, EVP_PKEY *key,
                                   struct oms_statement *out, struct error *err)
{
    if (!oms_key_is_ecdsa(key))
        return fail(err, UNSUPPORTED, NULL, "Models are signed with ECDSA keys on P-256, P-384 or P-521 only.");
    TRY(dsse_verify(&bundle->envelope, key, err));
    if (!str_eq(bundle->envelope.type, STR(INTOTO_MEDIA_TYPE)))
        return fail(err, UNPROCESSABLE, NULL, "What was signed is not a model: its type should be \"%s\".",
                    INTOTO_MEDIA_TYPE);
    return oms_statement_read(arena, bundle->envelope.payload, out, err);
}

static enum status check_method(const struct oms_bundle *bundle, enum oms_method wanted, struct error *err)
{
    static const char *const names[] = {"a key", "a certificate", "a Sigstore identity"};
    if (bundle->method == wanted)
        return OK;
    return fail(err, UNSUPPORTED, NULL, "The model was signed with %s, and is to be verified with %s.%s",
                names[bundle->method], names[wanted],
                bundle->method == OMS_BY_SIGSTORE ? " Use the model_signing tool for such signatures." : "");
}

enum status oms_bundle_verify_key(struct arena *arena, const struct oms_bundle *bundle, EVP_PKEY *key,
                                  struct oms_statement *out, struct error *err)
{
    char hint[OMS_HINT_SIZE];
    TRY(check_method(bundle, OMS_BY_KEY, err));
    oms_key_hint(key, hint);
    if (str_given(bundle->hint) && !str_eq(bundle->hint, str_of(hint))) {
        auto_buf struct buf shown = {0};
        name_show(&shown, str_slice(bundle->hint, 0, OMS_HINT_SIZE - 1));
        return fail(err, UNPROCESSABLE, NULL, "The bundle names another key, %.*s; the one to verify with is %s.",
                    STR_ARG(buf_view(&shown)), hint);
    }
    return verify_and_read(arena, bundle, key, out, err);
}

enum status oms_bundle_verify_chain(struct arena *arena, const struct oms_bundle *bundle, struct str anchors,
                                    int64_t time_us, struct chain_leaf *leaf, struct oms_statement *out,
                                    struct error *err)
{
    struct chain_leaf found;
    *leaf = (struct chain_leaf){0};
    TRY(check_method(bundle, OMS_BY_CERTIFICATE, err));
    TRY(chain_verify(arena, bundle->certificates, bundle->certificate_count, anchors, time_us, &found, err));
    auto_key EVP_PKEY *key = found.key;
    TRY(verify_and_read(arena, bundle, key, out, err));
    *leaf = found;
    key = NULL;
    return OK;
}

/* The envelope around a statement, if the key signed it and we would accept it back. */
static enum status make_envelope(struct arena *arena, struct str statement, struct str sig, EVP_PKEY *key,
                                 struct oms_bundle *out, struct error *err)
{
    struct oms_statement ignored;
    struct dsse_signature *signature = arena_alloc(arena, sizeof *signature);
    *signature = (struct dsse_signature){sig, STR("")};
    out->envelope = (struct dsse_envelope){STR(INTOTO_MEDIA_TYPE), statement, signature, 1};
    return verify_and_read(arena, out, key, &ignored, err);
}

enum status oms_bundle_of_key(struct arena *arena, struct str statement, struct str sig, EVP_PKEY *key,
                              struct oms_bundle *out, struct error *err)
{
    char hint[OMS_HINT_SIZE];
    oms_key_hint(key, hint);
    *out = (struct oms_bundle){.method = OMS_BY_KEY, .hint = arena_copy(arena, str_of(hint))};
    return make_envelope(arena, statement, sig, key, out, err);
}

enum status oms_bundle_of_chain(struct arena *arena, struct str statement, struct str sig,
                                const struct str *certificates, size_t count, struct oms_bundle *out, struct error *err)
{
    *out = (struct oms_bundle){.method = OMS_BY_CERTIFICATE, .certificate_count = count};
    out->certificates = arena_array(arena, count + 1, sizeof *certificates);
    for (size_t i = 0; i < count; i++)
        out->certificates[i] = certificates[i];
    auto_key EVP_PKEY *key = NULL;
    TRY(chain_leaf_key(certificates, count, &key, err));
    return make_envelope(arena, statement, sig, key, out, err);
}

static void write_material(struct arena *arena, const struct oms_bundle *bundle, struct json_writer *json)
{
    jw_object(json);
    if (bundle->method == OMS_BY_KEY) {
        jw_key(json, "publicKey");
        jw_object(json);
        jw_key_str(json, "hint", bundle->hint);
        jw_end(json);
    } else {
        jw_key(json, "x509CertificateChain");
        jw_object(json);
        jw_key(json, "certificates");
        jw_array(json);
        for (size_t i = 0; i < bundle->certificate_count; i++) {
            jw_object(json);
            jw_key_str(json, "rawBytes", base64_encode(arena, bundle->certificates[i]));
            jw_end(json);
        }
        jw_end(json);
        jw_end(json);
    }
    jw_key(json, "tlogEntries");
    jw_array(json);
    jw_end(json);
    jw_end(json);
}

enum status oms_bundle_write(struct arena *arena, const struct oms_bundle *bundle, struct buf *out, struct error *err)
{
    if (bundle->method == OMS_BY_SIGSTORE || (bundle->method == OMS_BY_KEY && !str_given(bundle->hint)))
        return fail(err, UNSUPPORTED, NULL, "This bundle was not made here; keep its file as it came.");
    size_t before = out->len;
    struct json_writer json = jw_to(out);
    jw_object(&json);
    jw_key_str(&json, "mediaType", MEDIA_TYPE);
    jw_key(&json, "verificationMaterial");
    write_material(arena, bundle, &json);
    jw_key(&json, "dsseEnvelope");
    dsse_write(arena, &bundle->envelope, &json);
    jw_end(&json);
    if (out->len - before <= OMS_BUNDLE_MOST)
        return OK;
    out->len = before;
    return fail(err, TOO_LARGE, NULL, "The bundle would have more than %d bytes.", OMS_BUNDLE_MOST);
}
