/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scan/attributes.h"
#include "scan/pattern.h"

#define LINE_LIMIT 2048 /* bytes; git ignores longer lines */

struct rule {
    struct pattern pattern;
    bool yes; /* makes a path large; excludes it */
};

struct rules {
    struct rule *items;
    size_t count;
};

struct attributes {
    struct rules rules;
};

struct ignore {
    struct rules rules;
};

/* Rules. */

/* Checks the size, copies the text, and makes room for as many rules as it can have. */
static enum status rules_start(struct arena *arena, struct str *text, struct rules *rules, const char *file,
                               struct error *err)
{
    if (text->len > RULES_TEXT_LIMIT)
        return fail(err, TOO_LARGE, NULL, "%s has %zu bytes; at most %d are accepted", file, text->len,
                    RULES_TEXT_LIMIT);
    *text = arena_copy(arena, *text);
    if (str_starts(*text, STR("\xef\xbb\xbf")))
        *text = str_from(*text, 3);
    size_t lines = 1;
    for (size_t i = 0; i < text->len; i++)
        lines += text->data[i] == '\n';
    rules->items = arena_array(arena, lines < RULES_LIMIT ? lines : RULES_LIMIT, sizeof *rules->items);
    return OK;
}

static enum status rules_add(struct rules *rules, const struct rule *rule, const char *file, struct error *err)
{
    if (rules->count == RULES_LIMIT)
        return fail(err, TOO_LARGE, NULL, "%s has more than %d rules", file, RULES_LIMIT);
    rules->items[rules->count++] = *rule;
    return OK;
}

/* The last rule that matches decides. */
static const struct rule *rules_find(const struct rules *rules, struct str path, bool is_folder, size_t *steps)
{
    for (size_t i = rules->count; i > 0; i--)
        if (pattern_matches(&rules->items[i - 1].pattern, path, is_folder, steps))
            return &rules->items[i - 1];
    return NULL;
}

/* .gitattributes. */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str skip_blank(struct str s)
{
    while (s.len && is_blank(s.data[0]))
        s = str_from(s, 1);
    return s;
}

static struct str take_word(struct str *rest)
{
    size_t len = 0;
    while (len < rest->len && !is_blank(rest->data[len]))
        len++;
    struct str word = str_slice(*rest, 0, len);
    *rest = skip_blank(str_from(*rest, len));
    return word;
}

static bool take_octal(struct str s, char *out)
{
    if (s.len < 3 || s.data[0] < '0' || s.data[0] > '3')
        return false;
    int value = 0;
    for (size_t i = 0; i < 3; i++) {
        if (s.data[i] < '0' || s.data[i] > '7')
            return false;
        value = value * 8 + (s.data[i] - '0');
    }
    *out = (char)value;
    return value != 0;
}

/* A pattern in quotes, as C writes strings. False when it is not well-formed: git then takes the quote for a letter. */
static bool take_quoted(struct arena *arena, struct str *rest, struct str *out)
{
    static const char named[] = "a\ab\bf\fn\nr\rt\tv\v\\\\\"\"";
    char *plain = arena_alloc(arena, rest->len);
    *out = (struct str){plain, 0};
    for (size_t i = 1; i < rest->len; i++) {
        char c = rest->data[i];
        if (c == '"') {
            *rest = skip_blank(str_from(*rest, i + 1));
            return true;
        }
        if (c == '\\') {
            size_t k = 0;
            if (++i == rest->len)
                return false;
            while (k + 1 < sizeof named && named[k] != rest->data[i])
                k += 2;
            if (k + 1 < sizeof named)
                c = named[k + 1];
            else if (take_octal(str_from(*rest, i), &c))
                i += 2;
            else
                return false;
        }
        plain[out->len++] = c;
    }
    return false;
}

static bool is_attribute_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '-' && c != '.' && c != '_')
            return false;
    }
    return name.len > 0 && name.data[0] != '-';
}

/* One of "filter=lfs", "filter", "-filter", "!filter". False when the name is none: git then ignores the whole line. */
static bool read_state(struct str word, bool *mentions, bool *lfs)
{
    struct str name, value = word;
    bool has_value = str_has(word, STR("="));
    str_cut(&value, '=', &name);
    bool off = str_starts(name, STR("-")) || str_starts(name, STR("!"));
    if (off)
        name = str_from(name, 1);
    if (!is_attribute_name(name))
        return false;
    if (str_eq(name, STR("filter"))) {
        *mentions = true;
        *lfs = !off && has_value && str_eq(value, STR("lfs"));
    }
    return true;
}

/* False for a line without a rule about the filter. */
static bool read_attributes_line(struct arena *arena, struct str line, struct rule *rule)
{
    struct str rest = skip_blank(line), name;
    bool mentions = false;
    if (line.len >= LINE_LIMIT || rest.len == 0 || rest.data[0] == '#')
        return false;
    if (rest.data[0] != '"' || !take_quoted(arena, &rest, &name))
        name = take_word(&rest);
    if (str_starts(name, STR("[attr]")) || str_starts(name, STR("!")))
        return false;
    while (rest.len)
        if (!read_state(take_word(&rest), &mentions, &rule->yes))
            return false;
    return mentions && pattern_parse(arena, name, &rule->pattern);
}

enum status attributes_parse(struct arena *arena, struct str text, struct attributes **out, struct error *err)
{
    struct str line;
    *out = arena_alloc(arena, sizeof **out);
    TRY(rules_start(arena, &text, &(*out)->rules, ".gitattributes", err));
    while (str_cut(&text, '\n', &line)) {
        struct rule rule = {0};
        if (read_attributes_line(arena, line, &rule))
            TRY(rules_add(&(*out)->rules, &rule, ".gitattributes", err));
    }
    return OK;
}

bool attributes_is_lfs(const struct attributes *attributes, struct str path)
{
    size_t steps = PATTERN_STEPS;
    const struct rule *rule = rules_find(&attributes->rules, path, false, &steps);
    return rule && rule->yes;
}

/* Adding a rule. */

static bool needs_quotes(struct str path)
{
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.data[i] <= ' ' || path.data[i] == 0x7f)
            return true;
    return false;
}

/* One byte of the pattern, inside quotes or not. */
static void append_byte(struct buf *text, char c, bool quoted)
{
    if (quoted && (c == '"' || c == '\\'))
        buf_byte(text, '\\');
    if ((unsigned char)c < ' ' || c == 0x7f)
        buf_printf(text, "\\%03o", (unsigned char)c);
    else
        buf_byte(text, c);
}

void attributes_append_lfs(struct buf *text, struct str path)
{
    bool quoted = needs_quotes(path);
    if (text->len && text->data[text->len - 1] != '\n')
        buf_byte(text, '\n');
    buf_str(text,
            quoted ? STR("\"/") : STR("/")); /* the slash ties it to this folder, and hides a first '!', '#' or '"' */
    for (size_t i = 0; i < path.len; i++) {
        if (memchr("*?[\\", path.data[i], 4))
            append_byte(text, '\\', quoted);
        append_byte(text, path.data[i], quoted);
    }
    buf_str(text, quoted ? STR("\"") : STR(""));
    buf_str(text, STR(" filter=lfs diff=lfs merge=lfs -text\n"));
}

struct str attributes_add_lfs(struct arena *arena, struct str text, struct str path)
{
    auto_buf struct buf out = {0};
    buf_str(&out, text);
    attributes_append_lfs(&out, path);
    return arena_copy(arena, buf_view(&out));
}

/* .gitignore. */

/* Spaces at the end count only behind a backslash; one carriage return there does not count. */
static struct str trim_ignore_line(struct str line)
{
    if (str_ends(line, STR("\r")))
        line.len--;
    size_t end = 0;
    for (size_t i = 0; i < line.len; i++) {
        bool escaped = line.data[i] == '\\';
        i += escaped;
        if (escaped || line.data[i] != ' ')
            end = i + 1;
    }
    return str_slice(line, 0, end);
}

enum status ignore_parse(struct arena *arena, struct str text, struct ignore **out, struct error *err)
{
    struct str line;
    *out = arena_alloc(arena, sizeof **out);
    TRY(rules_start(arena, &text, &(*out)->rules, ".gitignore", err));
    while (str_cut(&text, '\n', &line)) {
        struct rule rule = {0};
        if (str_starts(line, STR("#")))
            continue;
        line = trim_ignore_line(line);
        rule.yes = !str_starts(line, STR("!"));
        if (pattern_parse(arena, rule.yes ? line : str_from(line, 1), &rule.pattern))
            TRY(rules_add(&(*out)->rules, &rule, ".gitignore", err));
    }
    return OK;
}

bool ignore_matches(const struct ignore *ignore, struct str path)
{
    size_t steps = PATTERN_STEPS;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/')
            continue;
        const struct rule *rule = rules_find(&ignore->rules, str_slice(path, 0, i), i < path.len, &steps);
        if (rule && rule->yes)
            return true;
    }
    return false;
}
