/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "signin/html.h"

static void escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            buf_printf(out, "&#%d;", c);
        else
            buf_byte(out, c);
    }
}

void html_put(struct buf *out, const char *template, struct str first, struct str second)
{
    const struct str texts[] = {first, second};
    size_t next = 0;
    for (const char *at = template; *at; at++) {
        if (at[0] == '%' && at[1] == 's' && next < 2) {
            escape(out, texts[next++]);
            at++;
        } else {
            buf_byte(out, *at);
        }
    }
}

void html_begin(struct buf *out, const char *title, const char *class, const char *root)
{
    buf_printf(out,
               "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width, initial-scale=1\"><title>%s</title><link rel=\"stylesheet\" "
               "href=\"%ssignin/page.css\"><link rel=\"icon\" href=\"data:,\"><script src=\"%ssignin/page.js\" "
               "defer></script></head><body><main class=\"%s\">",
               title, root, root, class);
}

void html_reply(struct request *rq, int status, struct buf *page, struct str target)
{
    buf_str(page, STR("</main></body></html>\n"));
    reply_header(rq->http, "Content-Security-Policy",
                 "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
                 "form-action 'self' %.*s; base-uri 'none'; frame-ancestors 'none'",
                 STR_ARG(target));
    reply_header(rq->http, "X-Frame-Options", "DENY");
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_header(rq->http, "Referrer-Policy", "same-origin"); /* with "no-referrer" forms come from Origin "null" */
    reply_header(rq->http, "Cache-Control", "no-store");
    reply_buf(rq->http, status, STR("text/html; charset=utf-8"), page);
}
