/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A house that a hub asks for anything, well signed: each byte pair at the front says which step and how much of the rest is its payload.
 * It always answers, and signs what it answers. The run is a fixed one, whose configuration is asked for first.
 */
#include "house/internal.h"
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const struct module *const modules[] = {NULL};

static struct house *house;
static struct identity keys;
static struct buf config;
static int64_t at_us;

static enum status ask(enum wire_op op, struct str payload, struct error *err)
{
    auto_buf struct buf body = {0}, out = {0};
    struct str answer;
    struct wire_request request = {.op = op, .round = 1, .payload = payload, .run = {1}};
    request.at_us = at_us = now_us() > at_us ? now_us() : at_us + 1;
    memcpy(request.to, house_key(house), PACT_KEY_SIZE);
    wire_request_write(&request, &keys.sign, &body);
    house_answer(house, str_of(wire_op_name(op)), buf_view(&body), &out);
    enum status status = wire_answer_read(buf_view(&body), house_key(house), buf_view(&out), &answer, err);
    assert(status == OK || (status != UNAVAILABLE && err->message[0]));
    return status;
}

static void make_config(struct arena *arena)
{
    auto_json json_t *body = NULL;
    struct settings settings;
    struct error err;
    struct pact pact = {.run = STR("01000000000000000000000000000000"),
                        .round = 1,
                        .base = STR("0123456789012345678901234567890123456789"),
                        .dimension = 4};
    assert(json_read(STR("{\"mode\":\"two-houses\",\"rounds\":1,\"minParticipants\":2,\"house\":\"http://h\"}"), 1000,
                     &body, &err) == OK &&
           settings_read(body, &settings, &err) == OK && pact_of_settings(arena, &settings, &pact, &err) == OK);
    memcpy(pact.hub.key, keys.sign.public_key, 32);
    memcpy(pact.hub.seal, keys.seals[0].public_key, 32);
    pact.hub.until_us = keys.seals[0].until_us;
    memcpy(pact.house.key, house_key(house), 32);
    memcpy(pact.house.seal, house->identity->seals[0].public_key, 32);
    pact.house.until_us = house->identity->seals[0].until_us;
    pact_write(&pact, &config);
}

static char folder[] = "/tmp/cairn-fuzz-house-XXXXXX";

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about, (void)kind, (void)walk;
    return remove(path);
}

static void take_down(void)
{
    house_close(house);
    buf_free(&config);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void set_up(void)
{
    static const struct house_limits limits = {.parameters = 1000, .runs = 10};
    auto_arena struct arena arena = {0};
    struct error err = {0};
    char path[128];
    if (!mkdtemp(folder) || house_open(folder, &limits, &house, &err) != OK)
        abort();
    snprintf(path, sizeof path, "%s/hub.json", folder);
    if (identity_open(path, now_us(), &keys, &err) != OK)
        abort();
    atexit(take_down);
    make_config(&arena);
    assert(ask(WIRE_CONFIG, buf_view(&config), &err) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    if (!house)
        set_up();
    for (size_t at = 0, len; at + 2 <= size; at += 2 + len) {
        len = (size_t)data[at + 1] * 16;
        if (len > size - at - 2)
            len = size - at - 2;
        ask((enum wire_op)(data[at] % WIRE_OPS), (struct str){(const char *)data + at + 2, len}, &err);
    }
    return 0;
}
