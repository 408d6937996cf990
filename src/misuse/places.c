/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "misuse/places.h"
#include "base/arena.h"
#include "base/file.h"
#include <ctype.h>
#include <stdlib.h>

#define FILE_LIMIT (256 << 20)

struct range {
    struct network network;
    struct place place;
};

struct places {
    struct buf text; /* of the domains, which point into it */
    struct range *ranges;
    struct str *domains;
    size_t range_count, domain_count;
};

/* Lines of a file, without comments and what is empty. */
struct lines {
    const char *path;
    struct str rest;
    size_t number, most;
};

static bool next_line(struct lines *lines, struct str *out)
{
    while (str_given(lines->rest) && str_cut(&lines->rest, '\n', out)) {
        struct str line = *out;
        lines->number++;
        str_cut(&line, '#', out);
        *out = str_trim(*out);
        if (out->len)
            return true;
    }
    return false;
}

static enum status read_lines(const char *path, struct buf *text, struct lines *out, struct error *err)
{
    TRY(file_read_all(path, FILE_LIMIT, text, err));
    *out = (struct lines){.path = path, .rest = buf_view(text), .most = 1};
    for (size_t i = 0; i < text->len; i++)
        out->most += text->data[i] == '\n';
    return OK;
}

static bool read_degrees(struct str text, float most, float *out)
{
    char copy[16], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *out = strtof(copy, &end);
    return *end == '\0' && *out >= -most && *out <= most;
}

static bool read_range(struct str line, struct range *out)
{
    struct str word[4];
    size_t count = 0;
    for (struct str piece; str_given(line) && str_cut(&line, ' ', &piece);)
        if (piece.len && count++ < 4)
            word[count - 1] = piece;
    if (count != 4 || word[1].len != 2 || !isupper((unsigned char)word[1].data[0]) ||
        !isupper((unsigned char)word[1].data[1]))
        return false;
    memcpy(out->place.country, word[1].data, 2);
    return network_parse(word[0], &out->network) && read_degrees(word[2], 90, &out->place.latitude) &&
           read_degrees(word[3], 180, &out->place.longitude);
}

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return memcmp(x->network.bytes, y->network.bytes, sizeof x->network.bytes);
}

static enum status read_countries(const char *path, struct places *out, struct error *err)
{
    auto_buf struct buf text = {0};
    struct lines lines;
    struct str line;
    TRY(read_lines(path, &text, &lines, err));
    out->ranges = calloc(lines.most, sizeof *out->ranges);
    if (!out->ranges)
        abort();
    while (next_line(&lines, &line))
        if (!read_range(line, &out->ranges[out->range_count++]))
            return fail(err, INVALID, NULL, "%s, line %zu: it should read like \"192.0.2.0/24 NL 52.4 4.9\"", path,
                        lines.number);
    qsort(out->ranges, out->range_count, sizeof *out->ranges, by_start);
    for (size_t i = 1; i < out->range_count; i++)
        if (network_has(&out->ranges[i - 1].network, &out->ranges[i].network)) {
            char range[NETWORK_TEXT];
            network_text(&out->ranges[i].network, range);
            return fail(err, INVALID, NULL, "%s: %s lies within another line's range", path, range);
        }
    return OK;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum status read_domains(const char *path, struct places *out, struct error *err)
{
    struct lines lines;
    struct str line;
    TRY(read_lines(path, &out->text, &lines, err));
    for (size_t i = 0; i < out->text.len; i++)
        out->text.data[i] = (char)tolower((unsigned char)out->text.data[i]);
    out->domains = calloc(lines.most, sizeof *out->domains);
    if (!out->domains)
        abort();
    while (next_line(&lines, &line)) {
        if (memchr(line.data, '@', line.len) || memchr(line.data, ' ', line.len))
            return fail(err, INVALID, NULL, "%s, line %zu: it should be a domain, as mail.example", path, lines.number);
        out->domains[out->domain_count++] = line;
    }
    qsort(out->domains, out->domain_count, sizeof *out->domains, by_text);
    return OK;
}

enum status places_open(const char *countries, const char *throwaway, struct places **out, struct error *err)
{
    struct places *places = calloc(1, sizeof *places);
    if (!places)
        abort();
    enum status status = countries ? read_countries(countries, places, err) : OK;
    if (status == OK && throwaway)
        status = read_domains(throwaway, places, err);
    if (status != OK) {
        places_free(places);
        return status;
    }
    *out = places;
    return OK;
}

void places_free(struct places *places)
{
    if (!places)
        return;
    buf_free(&places->text);
    free(places->ranges);
    free(places->domains);
    free(places);
}

const struct place *place_of(const struct places *places, const struct network *address)
{
    size_t from = 0, to = places->range_count;
    while (from < to) { /* the first that begins behind the address */
        size_t middle = (from + to) / 2;
        if (memcmp(places->ranges[middle].network.bytes, address->bytes, sizeof address->bytes) <= 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from && network_has(&places->ranges[from - 1].network, address) ? &places->ranges[from - 1].place : NULL;
}

bool is_throwaway(const struct places *places, struct str email)
{
    char lower[256];
    struct str domain = email, user;
    if (!places->domain_count || email.len >= sizeof lower)
        return false;
    for (size_t i = 0; i < email.len; i++)
        lower[i] = (char)tolower((unsigned char)email.data[i]);
    domain.data = lower;
    str_cut(&domain, '@', &user);
    for (; str_given(domain); str_cut(&domain, '.', &user))
        if (bsearch(&domain, places->domains, places->domain_count, sizeof domain, by_text))
            return true;
    return false;
}
