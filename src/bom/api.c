/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "bom/internal.h"

#define ENVELOPE_TYPE STR("application/vnd.dsse.envelope.v1+json")

static const struct bom_format formats[] = {
    {"cyclonedx", "application/vnd.cyclonedx+json; version=1.6", "https://cyclonedx.org/bom", cyclonedx_write},
    {"spdx", "application/spdx+json", "https://spdx.dev/Document", spdx_write},
};

static enum status find_format(struct request *rq, const struct bom_format **out, struct error *err)
{
    struct str name = request_query(rq, "format", 0);
    *out = &formats[0];
    if (!str_given(name))
        return OK;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        *out = &formats[i];
        if (str_eq(name, str_of(formats[i].name)))
            return OK;
    }
    return fail(err, INVALID, NULL, "\"format\" is cyclonedx (CycloneDX 1.6) or spdx (SPDX 3.0.1).");
}

static enum status make_bom(struct request *rq, struct bom *bom, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    TRY(find_format(rq, &bom->format, err));
    TRY(bom_facts_read(rq, rq->params[0], &bom->facts, err));
    bom->format->write(rq->arena, &bom->facts, &bom->text);
    sha256(buf_view(&bom->text), digest);
    bom->digest = hex_encode(rq->arena, digest, sizeof digest);
    return OK;
}

static void reply_headers(struct request *rq, const struct bom *bom, int64_t index)
{
    reply_header(rq->http, "X-Repo-Commit", "%.*s", STR_ARG(bom->facts.commit));
    reply_header(rq->http, "X-Bom-Sha256", "%.*s", STR_ARG(bom->digest));
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_header(rq->http, "Cache-Control", "no-cache");
    if (index >= 0)
        reply_header(rq->http, "X-Prov-Index", "%lld", (long long)index);
}

static enum status reply_bom(struct request *rq, struct bom *bom, struct error *err)
{
    struct str envelope;
    int64_t index = -1;
    if (!request_query_true(rq, "signed")) {
        reply_headers(rq, bom, index);
        reply_buf(rq->http, 200, str_of(bom->format->media_type), &bom->text);
        return OK;
    }
    TRY(bom_envelope(rq, bom, &envelope, &index, err));
    reply_headers(rq, bom, index);
    reply_bytes(rq->http, 200, ENVELOPE_TYPE, envelope);
    return OK;
}

/* GET /api/{api}/bom/{rev}?format=cyclonedx|spdx&signed=true */
enum status bom_get(struct request *rq, struct error *err)
{
    struct bom bom = {0};
    enum status status = make_bom(rq, &bom, err);
    if (status == OK)
        status = reply_bom(rq, &bom, err);
    bom_free(&bom);
    return status;
}

static enum status log_and_reply(struct request *rq, const struct bom *bom, struct error *err)
{
    struct str envelope;
    int64_t index;
    bool fresh;
    TRY(bom_log(rq, bom, &envelope, &index, &fresh, err));
    reply_headers(rq, bom, index);
    reply_bytes(rq->http, fresh ? 201 : 200, ENVELOPE_TYPE, envelope);
    return OK;
}

/* POST /api/{api}/bom/{rev}?format=…: has it signed and logged. 200 when a bill that says the same is logged already. */
enum status bom_post(struct request *rq, struct error *err)
{
    struct bom bom = {0};
    enum status status = make_bom(rq, &bom, err);
    if (status == OK)
        status = log_and_reply(rq, &bom, err);
    bom_free(&bom);
    return status;
}
