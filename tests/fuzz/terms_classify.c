/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the rule makes of a change of terms: two texts with a NUL between them. */
#include "terms/classify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void a_text_is_like_itself_and_a_duty_more_matters(struct arena *arena, struct str text)
{
    must(classify(arena, text, text) == CHANGE_EDITORIAL);
    must(classify(arena, text, arena_printf(arena, "%.*s\nYou must pay.\n", STR_ARG(text))) == CHANGE_MATERIAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    struct str rest = {(const char *)data, len}, before;
    str_cut(&rest, '\0', &before);
    struct str after = str_given(rest) ? rest : STR("");
    enum change there = classify(&arena, before, after), back = classify(&arena, after, before);
    must(there >= CHANGE_EDITORIAL && there <= CHANGE_MATERIAL);
    must((there == CHANGE_EDITORIAL) == (back == CHANGE_EDITORIAL));
    must(!(there == CHANGE_MINOR && back == CHANGE_MINOR)); /* what is added one way is taken away the other */
    a_text_is_like_itself_and_a_duty_more_matters(&arena, before);
    return 0;
}
