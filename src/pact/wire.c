/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pact/wire.h"
#include <stdio.h>

static const char magic[8] = {'C', 'A', 'I', 'R', 'N', 'H', 'S', '1'};
static const char *const ops[WIRE_OPS] = {"config", "model",  "verify",   "freeze",
                                          "draw",   "commit", "exchange", "cosign"};
static const char *const verdicts[VERDICTS] = {"none", "good", "seal", "proof", "signature", "nonce"};

const char *wire_op_name(enum wire_op op)
{
    return ops[op];
}

bool wire_op_find(struct str name, enum wire_op *out)
{
    for (int i = 0; i < WIRE_OPS; i++)
        if (str_eq(name, str_of(ops[i]))) {
            *out = (enum wire_op)i;
            return true;
        }
    return false;
}

const char *report_verdict_name(enum verdict verdict)
{
    return verdicts[verdict];
}

void wire_int(struct buf *out, int64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_byte(out, (char)((uint64_t)value >> shift));
}

bool wire_take(struct str *rest, void *out, size_t len)
{
    if (rest->len < len)
        return false;
    memcpy(out, rest->data, len);
    *rest = str_from(*rest, len);
    return true;
}

bool wire_take_int(struct str *rest, int64_t *out)
{
    uint8_t bytes[8];
    uint64_t value = 0;
    if (!wire_take(rest, bytes, sizeof bytes))
        return false;
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    *out = (int64_t)value;
    return *out >= 0;
}

/* Requests. */

static void request_message(enum wire_op op, struct str head, struct str payload, struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    sha256(payload, digest);
    buf_printf(out, "cairn house request 1\n%s\n", ops[op]);
    buf_str(out, head);
    buf_add(out, digest, sizeof digest);
}

void wire_request_write(const struct wire_request *request, const struct pact_key *key, struct buf *out)
{
    auto_buf struct buf message = {0};
    uint8_t signature[PACT_SIGNATURE_SIZE];
    size_t start = out->len;
    buf_reserve(out, WIRE_REQUEST_SIZE + request->payload.len);
    buf_add(out, magic, sizeof magic);
    buf_add(out, key->public_key, PACT_KEY_SIZE);
    buf_add(out, request->to, PACT_KEY_SIZE);
    wire_int(out, request->at_us);
    buf_add(out, request->run, WIRE_RUN_SIZE);
    wire_int(out, request->round);
    request_message(request->op, str_from(buf_view(out), start), request->payload, &message);
    pact_sign(key, buf_view(&message), signature);
    buf_add(out, signature, sizeof signature);
    buf_str(out, request->payload);
}

enum status wire_request_read(enum wire_op op, struct str body, struct wire_request *out, struct error *err)
{
    auto_buf struct buf message = {0};
    uint8_t start[sizeof magic], signature[PACT_SIGNATURE_SIZE];
    struct str rest = body;
    *out = (struct wire_request){.op = op};
    if (!wire_take(&rest, start, sizeof start) || memcmp(start, magic, sizeof magic) != 0 ||
        !wire_take(&rest, out->from, PACT_KEY_SIZE) || !wire_take(&rest, out->to, PACT_KEY_SIZE) ||
        !wire_take_int(&rest, &out->at_us) || !wire_take(&rest, out->run, WIRE_RUN_SIZE) ||
        !wire_take_int(&rest, &out->round) || !wire_take(&rest, signature, sizeof signature))
        return fail(err, INVALID, NULL, "This is no request of a house.");
    out->payload = rest;
    request_message(op, str_slice(body, 0, WIRE_HEAD_SIZE), rest, &message);
    return pact_signed(out->from, buf_view(&message), signature)
               ? OK
               : fail(err, UNAUTHENTICATED, NULL, "The request is not signed by the key that it names.");
}

/* Answers: a signature, then a byte: 0 and the payload, or the status and "code\nsentence". */

static void answer_message(struct str request, struct str body, struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    buf_str(out, STR("cairn house answer 1\n"));
    sha256(request, digest);
    buf_add(out, digest, sizeof digest);
    sha256(body, digest);
    buf_add(out, digest, sizeof digest);
}

void wire_answer_write(struct str request, const struct error *why, struct str payload, const struct pact_key *key,
                       struct buf *out)
{
    auto_buf struct buf message = {0};
    uint8_t signature[PACT_SIGNATURE_SIZE] = {0};
    size_t start = out->len;
    buf_add(out, signature, sizeof signature);
    if (why)
        buf_printf(out, "%c%s\n%s", (char)why->status, why->code, why->message);
    else
        buf_byte(out, 0);
    if (!why)
        buf_str(out, payload);
    answer_message(request, str_from(buf_view(out), start + sizeof signature), &message);
    pact_sign(key, buf_view(&message), signature);
    memcpy(out->data + start, signature, sizeof signature);
}

enum status wire_answer_read(struct str request, const uint8_t key[PACT_KEY_SIZE], struct str body, struct str *payload,
                             struct error *err)
{
    auto_buf struct buf message = {0};
    uint8_t signature[PACT_SIGNATURE_SIZE];
    struct str rest = body, code = {0};
    char text[sizeof err->code];
    if (!wire_take(&rest, signature, sizeof signature) || rest.len == 0)
        return fail(err, UNAVAILABLE, NULL, "What answers at the house's address is no house.");
    answer_message(request, rest, &message);
    if (!pact_signed(key, buf_view(&message), signature))
        return fail(err, UNAVAILABLE, NULL, "What answers at the house's address does not have the house's key.");
    enum status status = (enum status)(uint8_t)rest.data[0];
    *payload = str_from(rest, 1);
    if (status == OK)
        return OK;
    str_cut(payload, '\n', &code);
    snprintf(text, sizeof text, "%.*s", (int)(code.len < sizeof text ? code.len : 0), code.data);
    struct str said = str_slice(str_given(*payload) ? *payload : STR(""), 0, 700);
    return fail(err, status > NO_SPACE ? INVALID : status, text, "The other house says: %.*s", STR_ARG(said));
}
