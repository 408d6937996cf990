/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "terms/classify.h"
#include "base/text.h"

static const char *const names[] = {"", "editorial", "minor", "material", "emergency"};

const char *change_name(enum change change)
{
    return names[change];
}

bool change_parse(struct str name, enum change *out)
{
    for (int i = CHANGE_EDITORIAL; i <= CHANGE_EMERGENCY; i++)
        if (str_eq(name, str_of(names[i]))) {
            *out = (enum change)i;
            return true;
        }
    return false;
}

/* Words. Anything beyond ASCII belongs to a word; so do digits. What a link leads to is no word. */

struct words {
    struct str *words;
    size_t count, capacity;
    struct arena *arena;
};

static bool is_word_byte(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 0x80 || (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z');
}

/* How many bytes of an address start here: after "](" up to ")", or "http" up to white space. */
static size_t address_at(struct str text, size_t at)
{
    struct str rest = str_from(text, at);
    size_t len = 0;
    if (str_starts(rest, STR("](")))
        while (len < rest.len && rest.data[len] != ')' && rest.data[len] != '\n')
            len++;
    else if (str_starts(rest, STR("https://")) || str_starts(rest, STR("http://")))
        while (len < rest.len && rest.data[len] > ' ' && rest.data[len] != ')' && rest.data[len] != '>')
            len++;
    return len;
}

static void split_words(struct str text, struct words *out)
{
    for (size_t at = 0; at < text.len;) {
        size_t start = at, skip = address_at(text, at);
        if (skip > 0) {
            at += skip;
            continue;
        }
        while (at < text.len && is_word_byte(text.data[at]))
            at++;
        if (at == start) {
            at++;
            continue;
        }
        out->words = array_room(out->arena, out->words, out->count, &out->capacity, sizeof *out->words);
        out->words[out->count++] = str_lower(out->arena, str_slice(text, start, at - start));
    }
}

static bool has_digit(struct str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] >= '0' && word.data[i] <= '9')
            return true;
    return false;
}

/* Whether one letter more, less or other makes one word of the other. */
static bool is_typing_error(struct str a, struct str b)
{
    struct str longer = a.len >= b.len ? a : b, shorter = a.len >= b.len ? b : a;
    size_t same = 0;
    if (shorter.len < 5 || longer.len - shorter.len > 1 || a.data[0] != b.data[0])
        return false;
    if (has_digit(a) || has_digit(b))
        return false;
    while (same < shorter.len && shorter.data[same] == longer.data[same])
        same++;
    return str_eq(str_from(longer, same + 1), str_from(shorter, same + (longer.len == shorter.len)));
}

static bool same_words(const struct words *a, const struct words *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!str_eq(a->words[i], b->words[i]) && !is_typing_error(a->words[i], b->words[i]))
            return false;
    return true;
}

/* Lines, each as its words in a row, so that they can be compared. */

struct lines {
    struct str *lines;
    size_t count, capacity;
};

static struct str normal_line(struct arena *arena, struct str line)
{
    struct words words = {.arena = arena};
    size_t len = 0;
    split_words(line, &words);
    for (size_t i = 0; i < words.count; i++)
        len += words.words[i].len + 1;
    char *text = arena_alloc(arena, len + 2), *at = text;
    *at++ = ' ';
    for (size_t i = 0; i < words.count; i++) {
        memcpy(at, words.words[i].data, words.words[i].len);
        at += words.words[i].len;
        *at++ = ' ';
    }
    return (struct str){text, words.count ? (size_t)(at - text) : 0};
}

static void split_lines(struct arena *arena, struct str text, struct lines *out)
{
    struct str line;
    while (str_cut(&text, '\n', &line)) {
        struct str normal = normal_line(arena, line);
        if (normal.len == 0)
            continue;
        out->lines = array_room(arena, out->lines, out->count, &out->capacity, sizeof *out->lines);
        out->lines[out->count++] = normal;
    }
}

/* In what normal_line() makes: lower case, one space around each word. */
static const char *const rights[] = {" you may ",    " you can ",     " you are free to ", " you are allowed to ",
                                     " sie dürfen ", " du darfst ",   " ihr dürft ",       " sie können ",
                                     " du kannst ",  " ist erlaubt ", " ist gestattet "};
static const char *const limits[] = {" must ",
                                     " shall ",
                                     " not ",
                                     " no ",
                                     " never ",
                                     " cannot ",
                                     " only ",
                                     " unless ",
                                     " except ",
                                     " if ",
                                     " provided ",
                                     " without ",
                                     " may not ",
                                     " required ",
                                     " prohibited ",
                                     " forbidden ",
                                     " until ",
                                     " condition ",
                                     " conditions ",
                                     " subject ",
                                     " limited ",
                                     " pay ",
                                     " fee ",
                                     " agree ",
                                     " indemnify ",
                                     " waive ",
                                     " muss ",
                                     " müssen ",
                                     " musst ",
                                     " müsst ",
                                     " nicht ",
                                     " kein ",
                                     " keine ",
                                     " keinen ",
                                     " keiner ",
                                     " keinem ",
                                     " keines ",
                                     " nie ",
                                     " niemals ",
                                     " nur ",
                                     " wenn ",
                                     " falls ",
                                     " sofern ",
                                     " außer ",
                                     " ohne ",
                                     " soll ",
                                     " sollen ",
                                     " verboten ",
                                     " untersagt ",
                                     " bedingung ",
                                     " bedingungen ",
                                     " verpflichtet ",
                                     " bis ",
                                     " erforderlich ",
                                     " zahlen ",
                                     " soweit ",
                                     " solange ",
                                     " lediglich ",
                                     " ausschließlich ",
                                     " while ",
                                     " when ",
                                     " unter "};

static bool has_any(struct str line, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_has(line, str_of(words[i])))
            return true;
    return false;
}

static bool is_pure_right(struct str line)
{
    return has_any(line, rights, sizeof rights / sizeof *rights) &&
           !has_any(line, limits, sizeof limits / sizeof *limits);
}

/* Whether all old lines are still there in their order, and each new one between them gives a right. */
static bool only_adds_rights(const struct lines *before, const struct lines *after)
{
    size_t at = 0;
    for (size_t i = 0; i < after->count; i++) {
        if (at < before->count && str_eq(before->lines[at], after->lines[i]))
            at++;
        else if (!is_pure_right(after->lines[i]))
            return false;
    }
    return at == before->count;
}

enum change classify(struct arena *arena, struct str before, struct str after)
{
    struct words old_words = {.arena = arena}, new_words = {.arena = arena};
    struct lines old_lines = {0}, new_lines = {0};
    split_words(before, &old_words);
    split_words(after, &new_words);
    if (same_words(&old_words, &new_words))
        return CHANGE_EDITORIAL;
    split_lines(arena, before, &old_lines);
    split_lines(arena, after, &new_lines);
    return only_adds_rights(&old_lines, &new_lines) ? CHANGE_MINOR : CHANGE_MATERIAL;
}
