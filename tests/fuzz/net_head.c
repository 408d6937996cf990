/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A head in pieces: however it is cut, the same end is found, and what is accepted keeps the promises that handlers
 * rely on. */
#include "net/head.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum head_found find(const char *text, size_t len, size_t step, size_t *head_len)
{
    struct head_scan scan = {0};
    enum head_found found = HEAD_MORE;
    for (size_t have = 0; found == HEAD_MORE && have < len;) {
        have = len - have < step ? len : have + step;
        found = head_find_end(&scan, text, have, head_len);
    }
    return found;
}

static bool inside(struct str s, const char *text, size_t len)
{
    return s.len == 0 || (s.data >= text && s.len <= len && s.data <= text + len - s.len);
}

static void check_promises(const struct head *head, const char *text, size_t len)
{
    assert(head->method < HTTP_METHODS);
    assert(head->path.len > 0 && head->path.data[0] == '/' && inside(head->target, text, len));
    assert(head->path.len + (str_given(head->query) ? head->query.len + 1 : 0) == head->target.len);
    assert(head->chunked ? head->content_length == -1 : head->content_length >= 0);
    int hosts = 0, lengths = 0, codings = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        const struct http_header *h = &head->headers[i];
        assert(h->name.len > 0 && inside(h->name, text, len) && inside(h->value, text, len));
        for (size_t j = 0; j < h->value.len; j++)
            assert((unsigned char)h->value.data[j] >= ' ' || h->value.data[j] == '\t');
        hosts += str_eq_nocase(h->name, STR("host"));
        lengths += str_eq_nocase(h->name, STR("content-length"));
        codings += str_eq_nocase(h->name, STR("transfer-encoding"));
    }
    assert(hosts == 1 || (hosts == 0 && !head->http11));
    assert(lengths + codings <= 1 && codings == head->chunked);
}

/* Parses a copy of exact size, so that a read past the end is seen. */
static bool accepted(const char *text, size_t len)
{
    char *exact = malloc(len);
    memcpy(exact, text, len);
    struct http_header headers[HEAD_HEADERS];
    struct head head;
    const char *reason = NULL;
    int refused = head_parse(exact, len, headers, HEAD_HEADERS, &head, &reason);
    assert(refused == 0 || reason);
    if (refused == 0)
        check_promises(&head, exact, len);
    free(exact);
    return refused == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    size_t step = 1 + data[0] % 16, len = size - 1, whole_len = 0, pieces_len = 0;
    char *text = malloc(len + 1);
    memcpy(text, data + 1, len);
    enum head_found whole = find(text, len, len, &whole_len), pieces = find(text, len, step, &pieces_len);
    /* A CR inside a line is seen at once where the line is cut behind it, and by head_parse() where it is not. */
    if (whole == HEAD_COMPLETE && accepted(text, whole_len))
        assert(pieces == HEAD_COMPLETE);
    if (pieces == HEAD_COMPLETE) {
        assert(whole == HEAD_COMPLETE && pieces_len == whole_len);
        accepted(text, pieces_len);
    }
    free(text);
    return 0;
}
