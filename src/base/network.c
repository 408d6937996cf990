/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/network.h"
#include <arpa/inet.h>
#include <stdio.h>

#define V4_BITS 96 /* of ::ffff:0:0/96 */

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct network *network)
{
    return network->bits >= V4_BITS && memcmp(network->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

bool network_address(struct str text, struct network *out)
{
    char copy[INET6_ADDRSTRLEN];
    *out = (struct network){.bits = 128};
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, 0, text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, out->bytes) == 1)
        return true;
    memcpy(out->bytes, v4_prefix, sizeof v4_prefix);
    return inet_pton(AF_INET, copy, out->bytes + sizeof v4_prefix) == 1;
}

static struct network cut(const struct network *network, unsigned bits)
{
    struct network out = {.bits = bits};
    memcpy(out.bytes, network->bytes, bits / 8);
    if (bits % 8)
        out.bytes[bits / 8] = network->bytes[bits / 8] & (uint8_t)(0xff << (8 - bits % 8));
    return out;
}

bool network_parse(struct str text, struct network *out)
{
    struct str length = text, address;
    int64_t bits;
    str_cut(&length, '/', &address);
    if (!network_address(address, out))
        return false;
    if (!str_given(length))
        return true;
    bool v4 = !memchr(address.data, ':', address.len);
    if (length.len > 3 || !str_to_i64(length, &bits) || bits > (v4 ? 32 : 128))
        return false;
    struct network range = cut(out, (unsigned)bits + (v4 ? V4_BITS : 0));
    bool exact = memcmp(range.bytes, out->bytes, sizeof range.bytes) == 0;
    *out = range;
    return exact;
}

bool network_has(const struct network *range, const struct network *address)
{
    struct network around = cut(address, range->bits);
    return address->bits >= range->bits && memcmp(around.bytes, range->bytes, sizeof around.bytes) == 0;
}

bool network_is_public(const struct network *address)
{
    static const char *const special[] = {
        "0.0.0.0/8",      "10.0.0.0/8",   "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24",   "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",  "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/3",  "2001::/23",      "2001:db8::/32",  "2002::/16",      "3fff::/20",
    };
    struct network range;
    network_parse(STR("2000::/3"), &range); /* of IPv6, all else is for other uses */
    if (!is_v4(address) && !network_has(&range, address))
        return false;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (network_parse(str_of(special[i]), &range) && network_has(&range, address))
            return false;
    return true;
}

struct network network_around(const struct network *address)
{
    return cut(address, is_v4(address) ? V4_BITS + 24 : 56);
}

int64_t network_parties(const struct network *range)
{
    unsigned bits = is_v4(range) ? V4_BITS + 24 : 56;
    if (range->bits >= bits)
        return 1;
    return bits - range->bits < 62 ? INT64_C(1) << (bits - range->bits) : INT64_MAX;
}

struct str network_text(const struct network *network, char out[NETWORK_TEXT])
{
    bool v4 = is_v4(network);
    inet_ntop(v4 ? AF_INET : AF_INET6, network->bytes + (v4 ? sizeof v4_prefix : 0), out, NETWORK_TEXT);
    size_t used = strlen(out);
    if (network->bits < 128)
        snprintf(out + used, NETWORK_TEXT - used, "/%u", network->bits - (v4 ? V4_BITS : 0));
    return str_of(out);
}
