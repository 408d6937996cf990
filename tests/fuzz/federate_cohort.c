/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a participant of the mode one-house answers, as JSON: what is read is what was written, and its bytes then go where each step's bytes go.
 * Nobody's keys or signature hold by chance. */
#include "cohort/unmask.h"
#include "federate/cohort.h"
#include <assert.h>

const struct module *const modules[] = {NULL};

static bool holds(const struct cohort_message *message)
{
    static const uint8_t context[COHORT_CONTEXT_SIZE], identity[32];
    struct cohort_member keys;
    struct error err;
    if (message->stage == 0 && message->bytes.len == sizeof keys) {
        memcpy(&keys, message->bytes.data, sizeof keys);
        return cohort_member_holds(&keys, context);
    }
    if (message->stage == STAGE_SIGN && message->bytes.len == COHORT_SIGNATURE_SIZE)
        return cohort_signed(identity, STR("survivors"), context, STR("list"), (const uint8_t *)message->bytes.data);
    for (size_t size = COHORT_LEAST; message->stage == STAGE_UNMASK && size <= COHORT_MOST; size += 41) {
        struct cohort_graph graph = cohort_graph(size);
        assert(cohort_answer_check(&graph, message->bytes, &err) == OK || err.message[0]);
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_json json_t *body = NULL;
    struct cohort_message message = {0};
    struct error err = {0};
    if (json_read((struct str){(const char *)data, size}, BODY_LIMIT, &body, &err) != OK || !json_is_object(body))
        return 0;
    if (cohort_message_read(&arena, body, &message, &err) != OK) {
        assert(err.status == INVALID && err.message[0]);
        return 0;
    }
    struct str said = json_get_str(body, "message");
    assert(message.stage <= STAGE_UNMASK && message.bytes.len > 0 && 2 * message.bytes.len == said.len);
    assert(str_eq_nocase(hex_encode(&arena, message.bytes.data, message.bytes.len), said));
    assert(!holds(&message));
    return 0;
}
