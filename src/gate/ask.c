/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * {web}/ask-access: the address that refusals name and that browsers and simple clients post to. The page is static and
 * has no script; it tells what is asked, and how to ask.
 */
#include "base/text.h"
#include "base/time.h"
#include "gate/apply.h"
#include "gate/handlers.h"
#include "gate/review.h"
#include "terms/terms.h"

#define BODY_LIMIT (1 << 20)

/* The page. */

static void html(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        const char *safe = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : NULL;
        if (safe)
            buf_printf(out, "%s", safe);
        else
            buf_byte(out, c);
    }
}

static void paragraph(struct buf *out, const char *tag, struct str text)
{
    buf_printf(out, "<%s>", tag);
    html(out, text);
    buf_printf(out, "</%s>\n", tag);
}

static void page_field(struct buf *out, const struct form_field *field)
{
    buf_printf(out, "<li><b>");
    html(out, field->label);
    buf_printf(out, "</b> (<code>");
    html(out, field->name);
    buf_printf(out, "</code>, %s%s)", field_type_name(field->type), field->required ? ", required" : "");
    for (size_t i = 0; i < field->option_count; i++) {
        buf_printf(out, i ? ", " : ": ");
        html(out, field->options[i]);
    }
    buf_printf(out, "</li>\n");
}

static void page_form(struct buf *out, const struct form *form)
{
    if (str_given(form->prompt))
        paragraph(out, "blockquote", form->prompt);
    if (!form->count)
        return;
    buf_printf(out, "<h2>What you are asked</h2>\n<ul>\n");
    for (size_t i = 0; i < form->count; i++)
        page_field(out, &form->fields[i]);
    buf_printf(out, "</ul>\n");
}

static enum status page_terms(struct request *rq, const struct gate *gate, struct buf *out, struct error *err)
{
    struct terms_wanted *wanted = arena_array(rq->arena, TERMS_GATE_MOST, sizeof *wanted);
    size_t count;
    TRY(terms_wanted(rq->db, rq->arena, gate->id, now_us(), wanted, &count, err));
    if (count)
        buf_printf(out, "<h2>What you have to accept</h2>\n<ul>\n");
    for (size_t i = 0; i < count; i++) {
        const struct terms_version *version = &wanted[i].now;
        buf_printf(out, "<li><a href=\"%.*s/api/terms/", STR_ARG(request_base_url(rq)));
        html(out, wanted[i].name);
        buf_printf(out, "\">");
        html(out, wanted[i].name);
        buf_printf(out, "</a>, version %lld", (long long)version->seq);
        for (size_t k = 0; k < version->text_count; k++)
            buf_printf(out, "<br>%.*s <code>%.*s</code>", STR_ARG(version->texts[k].lang),
                       STR_ARG(version->texts[k].sha256));
        buf_printf(out, "</li>\n");
    }
    if (count)
        buf_printf(out, "</ul>\n");
    return OK;
}

static void page_clock(struct request *rq, const struct gate *gate, const struct gate_policy *policy, struct buf *out)
{
    buf_printf(out, "<h2>What happens then</h2>\n<p>");
    if (gate->state != GATE_OPEN)
        buf_printf(out, "At the moment this gate is %s and takes no requests. ", gate_state_name(gate->state));
    if (policy->mode == MODE_CLICK)
        buf_printf(out, "You are let in at once. ");
    else
        buf_printf(out,
                   "%s decided within %lld working days; while something is asked of you, that time stands still. ",
                   policy->mode == MODE_RULE ? "Published rules may let you in at once; otherwise it is" : "It is",
                   (long long)(review_limit_us(policy->risk) / DAY_US));
    if (policy->sign_in)
        buf_printf(out,
                   "Access is for %s: <a href=\"%.*s/signin\">your account page</a> has it. Tokens count as the "
                   "session in which they were made. ",
                   policy->sign_in == AUTH_PASSWORD ? "people who have signed in"
                   : policy->sign_in == AUTH_TOTP   ? "two-factor sign-in"
                                                    : "those who sign in with a passkey",
                   STR_ARG(request_base_url(rq)));
    if (policy->grant_us)
        buf_printf(out, "Access is given for %lld days and can be renewed. ", (long long)(policy->grant_us / DAY_US));
    if (gate->closes_us)
        buf_printf(out, "Nobody can ask after %.*s. ", STR_ARG(time_iso(rq->arena, gate->closes_us)));
    buf_printf(out, "Against a refusal you can appeal within %lld days.</p>\n",
               (long long)(policy->appeal_us / DAY_US));
}

static void page_how(struct request *rq, struct buf *out)
{
    struct str base = request_base_url(rq), name = rq->repo.full_name, api = repo_kind_plural(rq->repo.kind);
    buf_printf(out, "<h2>How to ask</h2>\n<pre>cairn access ask --hub ");
    html(out, base);
    buf_printf(out,
               " %.*s/%.*s</pre>\n<p>shows the texts, asks the questions and sends your request, with your token in "
               "HF_TOKEN. Or, with any HTTP client:</p>\n<pre>curl -H \"Authorization: Bearer $TOKEN\" \\\n  -d "
               "'{\"answers\": {}, \"terms\": [{\"terms\": \"NAME\", \"sha256\": \"HASH\"}]}' \\\n  ",
               STR_ARG(api), STR_ARG(name));
    html(out, base);
    buf_printf(out, "/api/%.*s/%.*s/access-request</pre>\n", STR_ARG(api), STR_ARG(name));
}

static enum status write_page(struct request *rq, const struct gate *gate, struct buf *out, struct error *err)
{
    struct gate_policy policy;
    TRY(gate_policy_get(rq->db, rq->arena, gate, 0, &policy, err));
    buf_printf(out,
               "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width\"><title>Access to %.*s</title>\n<style>body{font:1rem/1.5 "
               "sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}pre{overflow:auto}code{word-break:"
               "break-all}</style>\n",
               STR_ARG(rq->repo.full_name));
    if (str_given(policy.form.heading))
        paragraph(out, "h1", policy.form.heading);
    else
        buf_printf(out, "<h1>Access to %.*s</h1>\n", STR_ARG(rq->repo.full_name));
    page_form(out, &policy.form);
    TRY(page_terms(rq, gate, out, err));
    page_clock(rq, gate, &policy, out);
    page_how(rq, out);
    buf_printf(out, "</html>\n");
    return OK;
}

/* GET /{web}/ask-access */
enum status ask_get(struct request *rq, struct error *err)
{
    auto_buf struct buf page = {0};
    struct gate gate;
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    TRY(write_page(rq, &gate, &page, err));
    reply_header(rq->http, "Content-Security-Policy",
                 "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'");
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_buf(rq->http, 200, STR("text/html; charset=utf-8"), &page);
    return OK;
}

/* Posting: JSON as the API takes it, or a web form whose fields are those of the gate's. */

/* "terms" stands for each text as "ns/slug:sha256"; all other names are answers. */
static enum status read_pair(json_t *answers, json_t *terms, struct application *how, struct arena *arena,
                             struct str name, struct str value, struct error *err)
{
    if (!str_is_utf8(name) || !str_is_utf8(value) || memchr(value.data, '\0', value.len) ||
        memchr(name.data, '\0', name.len))
        return fail(err, INVALID, NULL, "The form has bytes that are no text");
    if (str_eq(name, STR("purpose"))) {
        how->purpose = value;
        return is_line(value, 128) || !value.len
                   ? OK
                   : fail(err, INVALID, NULL, "\"purpose\" must be a line of text of at most 128 bytes");
    }
    if (!str_eq(name, STR("terms"))) {
        json_object_set_new(answers, arena_cstr(arena, name), json_stringn(value.data, value.len));
        return OK;
    }
    struct str hash = value, doc;
    if (!str_cut(&hash, ':', &doc) || !str_given(hash))
        return fail(err, INVALID, NULL, "\"terms\" names a text and its hash as ns/slug:sha256");
    json_t *one = json_object();
    json_object_set_new(one, "terms", json_stringn(doc.data, doc.len));
    json_object_set_new(one, "sha256", json_stringn(hash.data, hash.len));
    json_array_append_new(terms, one);
    return OK;
}

static enum status read_web_form(struct request *rq, json_t *answers, json_t *terms, struct application *how,
                                 struct error *err)
{
    struct str rest, name, value;
    size_t count = 0;
    TRY(request_body(rq, BODY_LIMIT, &rest, err));
    while (form_next(rq->arena, &rest, &name, &value)) {
        if (++count > 200)
            return fail(err, INVALID, NULL, "The form has more than 200 fields");
        if (name.len)
            TRY(read_pair(answers, terms, how, rq->arena, name, value, err));
    }
    return str_given(rest) && rest.len ? fail(err, INVALID, NULL, "The form is not well encoded") : OK;
}

/* POST /{web}/ask-access */
enum status ask_post(struct request *rq, struct error *err)
{
    struct str type = http_header(rq->http, "content-type");
    auto_json json_t *answers = json_object(), *terms = json_array();
    struct application how = {.method = "web", .answers = answers, .terms = terms};
    struct access_request made;
    if (!str_eq_nocase(str_slice(type, 0, 33), STR("application/x-www-form-urlencoded")))
        return access_request_post(rq, err);
    TRY(read_web_form(rq, answers, terms, &how, err));
    TRY(access_request_apply(rq, &how, &made, err));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(request_read(rq, err));
    TRY(request_show(rq->db, rq->arena, &made, &w, err));
    request_reply_json(rq, &body);
    return OK;
}
