/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests and answers between houses from anywhere: nothing that is not signed gets through, and what is signed does whole. */
#include "pact/wire.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf body = {0}, answer = {0};
    const uint8_t seed[32] = {1};
    struct pact_key key;
    struct str all = {(const char *)data, size}, payload;
    struct wire_request request, found;
    struct error err = {0};
    enum wire_op op = size ? (enum wire_op)(data[0] % WIRE_OPS) : WIRE_CONFIG;
    pact_key_make(&key, seed);
    if (wire_request_read(op, all, &request, &err) == OK)
        assert(request.payload.len == size - WIRE_REQUEST_SIZE);
    if (wire_answer_read(STR("asked"), key.public_key, all, &payload, &err) != OK)
        assert(err.message[0]);
    request = (struct wire_request){.op = op, .round = 3, .payload = all};
    wire_request_write(&request, &key, &body);
    assert(wire_request_read(op, buf_view(&body), &found, &err) == OK && str_eq(found.payload, all));
    body.data[size % body.len] ^= 1;
    assert(wire_request_read(op, buf_view(&body), &found, &err) != OK);
    wire_answer_write(STR("asked"), NULL, all, &key, &answer);
    assert(wire_answer_read(STR("asked"), key.public_key, buf_view(&answer), &payload, &err) == OK &&
           str_eq(payload, all));
    assert(wire_answer_read(STR("other"), key.public_key, buf_view(&answer), &payload, &err) == UNAVAILABLE);
    return 0;
}
