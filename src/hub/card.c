/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POST /api/validate-yaml (hub-protocol 1.6): called before every commit that touches the root README.md. */
#include "scan/card.h"
#include "hub/handlers.h"

#define BODY_LIMIT (4 << 20)

static void write_findings(struct json_writer *w, const char *key, const struct card_findings *findings)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < findings->count; i++) {
        jw_object(w);
        jw_key_str(w, "message", findings->messages[i]);
        jw_end(w);
    }
    jw_end(w);
}

static void reply_text(struct request *rq, int status, const struct card_report *report)
{
    auto_buf struct buf text = {0};
    for (size_t i = 0; i < report->errors.count; i++)
        buf_printf(&text, "- Error: %.*s\n", STR_ARG(report->errors.messages[i]));
    for (size_t i = 0; i < report->warnings.count; i++)
        buf_printf(&text, "- Warning: %.*s\n", STR_ARG(report->warnings.messages[i]));
    reply_buf(rq->http, status, STR("text/plain; charset=utf-8"), &text);
}

enum status validate_yaml(struct request *rq, struct error *err)
{
    json_t *body;
    enum repo_kind kind;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(kind_of(json_get_str(body, "repoType"), &kind, err));
    struct card_report report = {0};
    card_validate(rq->arena, json_get_str(body, "content"), repo_kind_name(kind), &report);
    int status = report.errors.count ? 400 : 200;
    if (str_eq(http_header(rq->http, "accept"), STR("text/plain"))) {
        reply_text(rq, status, &report);
        return OK;
    }
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    jw_object(&w);
    write_findings(&w, "errors", &report.errors);
    write_findings(&w, "warnings", &report.warnings);
    jw_end(&w);
    reply_buf(rq->http, status, STR("application/json; charset=utf-8"), &out);
    return OK;
}
