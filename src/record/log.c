/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log itself, for monitors, witnesses and mirrors: C2SP tlog-tiles (provenance 1.5). Anybody may read it. */
#include "record/internal.h"
#include "tlog/text.h"
#include "tlog/tile.h"

#define PLAIN STR("text/plain; charset=utf-8")

/* A page of any site may verify in the browser: there is nothing here that is not public. */
static void reply_public(struct request *rq, const char *caching)
{
    reply_header(rq->http, "Access-Control-Allow-Origin", "*");
    reply_header(rq->http, "Cache-Control", "%s", caching);
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
}

static bool is_old(struct request *rq)
{
    return str_starts(str_of(rq->route->pattern), STR("/log/old/"));
}

/* The log of the address: the hub's, or one before it, as /log/old/{name}/… */
static enum status find_log(struct request *rq, struct ledger **out, struct error *err)
{
    struct record *record = rq->hub->record;
    uint64_t at;
    *out = record->ledger;
    if (!is_old(rq))
        return OK;
    *out = tlog_decimal(rq->params[0], &at) && at >= 1 && at <= record->old_count ? record->old[at - 1] : NULL;
    return *out ? OK : fail(err, NOT_FOUND, NULL, "The hub has no such log.");
}

/* A note begins with the text that was signed, so the one that the witnesses were sent is the newest when it begins with it. */
void newest_checkpoint(struct record *record, struct buf *out)
{
    auto_buf struct buf signed_note = {0}, cosigned = {0};
    ledger_checkpoint(record->ledger, &signed_note);
    bool same = record->witness && witness_newest(record->witness, &cosigned) &&
                str_starts(buf_view(&cosigned), buf_view(&signed_note));
    buf_str(out, buf_view(same ? &cosigned : &signed_note));
}

/* GET /log/checkpoint */
enum status log_checkpoint(struct request *rq, struct error *err)
{
    auto_buf struct buf note = {0};
    struct ledger *ledger;
    TRY(find_log(rq, &ledger, err));
    if (is_old(rq))
        ledger_checkpoint(ledger, &note);
    else
        newest_checkpoint(rq->hub->record, &note);
    reply_public(rq, "no-cache");
    reply_buf(rq->http, 200, PLAIN, &note);
    return OK;
}

/* Each line of the note is one of the event's data, the empty one behind its last newline too: so the data that arrives
 * is the note, byte for byte. */
void log_tell(struct record *record)
{
    auto_buf struct buf note = {0}, event = {0};
    struct ledger_state state;
    ledger_state(record->ledger, &state); /* of the same moment as the note: only our thread appends */
    ledger_checkpoint(record->ledger, &note);
    buf_printf(&event, "event: checkpoint\nid: %llu\n", (unsigned long long)state.size);
    for (struct str rest = buf_view(&note), line; str_cut(&rest, '\n', &line);) {
        buf_str(&event, STR("data: "));
        buf_str(&event, line);
        buf_byte(&event, '\n');
    }
    buf_byte(&event, '\n');
    http_topic_publish(record->checkpoints, buf_view(&event));
}

/* GET /log/stream: the newest checkpoint, and each new one as it comes, as server-sent events. Of several that come
 * within a moment the last stands for all. */
enum status log_stream(struct request *rq, struct error *err)
{
    reply_header(rq->http, "Access-Control-Allow-Origin", "*");
    return reply_topic(rq->http, rq->hub->record->checkpoints, err);
}

/* GET /log/vkey: the line of the log's public key. Whoever trusts it had better have it from elsewhere too. */
enum status log_vkey(struct request *rq, struct error *err)
{
    struct ledger *ledger;
    TRY(find_log(rq, &ledger, err));
    reply_public(rq, "max-age=300");
    reply_bytes(rq->http, 200, PLAIN, arena_printf(rq->arena, "%.*s\n", STR_ARG(ledger_vkey(ledger))));
    return OK;
}

/* GET /log/tile/{path*}: hash tiles and bundles of entries. They never change, so they may be kept for good. */
enum status log_tile(struct request *rq, struct error *err)
{
    auto_buf struct buf bytes = {0};
    struct ledger *ledger;
    struct tile tile;
    struct str path = arena_printf(rq->arena, "tile/%.*s", STR_ARG(rq->params[is_old(rq)]));
    TRY(find_log(rq, &ledger, err));
    if (!tile_path_parse(path, &tile))
        return fail(err, NOT_FOUND, NULL, "This is not the path of a tile (see c2sp.org/tlog-tiles).");
    if (tile.level == TILE_ENTRIES)
        TRY(ledger_bundle(ledger, tile.number, tile.width, &bytes, err));
    else
        TRY(ledger_tile(ledger, tile.level, tile.number, tile.width, &bytes, err));
    reply_public(rq, "public, max-age=31536000, immutable");
    reply_buf(rq->http, 200, STR("application/octet-stream"), &bytes);
    return OK;
}
