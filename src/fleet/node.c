/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes: a participant as Flower sees one. Nothing of them is kept, as everything follows from the key. */
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "fleet/internal.h"
#include "repo/tree.h"

#define APP_MOST ((size_t)16 << 20)

static const struct str PROTOBUF = {"application/protobuf", sizeof "application/protobuf" - 1};

/* The user part of "Authorization: Basic"; the password has been looked at as a key before. */
static struct str asked_repo(struct request *rq)
{
    struct str header = http_header(rq->http, "authorization"), pair, user;
    if (str_eq_nocase(str_slice(header, 0, 6), STR("basic ")) &&
        base64_decode(rq->arena, str_trim(str_from(header, 6)), &pair) && str_cut(&pair, ':', &user))
        return user;
    return STR("");
}

enum status fleet_admit(struct request *rq, struct error *err)
{
    return request_admit_repo(rq, KIND_MODEL, asked_repo(rq), err);
}

enum status fleet_message(struct request *rq, struct proto *out, struct error *err)
{
    struct str body;
    struct proto_source *source = arena_alloc(rq->arena, sizeof *source);
    TRY(fleet_admit(rq, err));
    TRY(request_body(rq, MESSAGE_MOST, &body, err));
    proto_source_memory(source, body);
    *out = proto_whole(source);
    return OK;
}

uint64_t node_number(const struct request *rq)
{
    const int64_t what[2] = {rq->repo.id, rq->actor.account.id};
    uint8_t digest[SHA256_SIZE];
    uint64_t number;
    hmac_sha256((struct str){(const char *)rq->hub->signing_secret, sizeof rq->hub->signing_secret},
                (struct str){(const char *)what, sizeof what}, digest);
    memcpy(&number, digest, sizeof number);
    return number >> 1 | 2; /* 0 and 1 are Flower's servers */
}

enum status node_check(const struct request *rq, const struct proto *message, bool old, struct error *err)
{
    struct proto_field field, number = {0};
    struct proto node;
    bool found;
    TRY(proto_find(message, 1, &field, &found, err));
    if (found) {
        TRY(proto_inside(message, &field, &node, err));
        TRY(proto_find(&node, 1, &number, &found, err));
    }
    uint64_t given = old ? (uint64_t)proto_signed(number.value) : number.value;
    if (!found || given != node_number(rq))
        return fail(err, NOT_FOUND, "UnknownNode", "This is not the number of your node for this repo.");
    return OK;
}

uint64_t run_number(const struct part *part)
{
    uint8_t bytes[16];
    uint64_t number = 0;
    if (hex_decode(part->run, bytes, sizeof bytes))
        memcpy(&number, bytes, sizeof number);
    return number >> 1;
}

void fleet_reply(struct request *rq, struct proto_out *out)
{
    proto_finish(out);
    reply_buf(rq->http, 200, PROTOBUF, &out->bytes);
}

/* POST …/register-node: the answer to an ActivateNodeRequest is the same message. */
enum status node_register(struct request *rq, struct error *err)
{
    return node_activate(rq, err);
}

/* POST …/activate-node */
enum status node_activate(struct request *rq, struct error *err)
{
    struct proto message;
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &message, err));
    proto_put(&out, 1, node_number(rq));
    fleet_reply(rq, &out);
    return OK;
}

/* POST …/deactivate-node, …/unregister-node */
enum status node_leave(struct request *rq, struct error *err)
{
    struct proto message;
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &message, err));
    fleet_reply(rq, &out);
    return OK;
}

/* POST …/send-node-heartbeat: true, as for 1.8's ping. */
enum status node_heartbeat(struct request *rq, struct error *err)
{
    struct proto message;
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &message, err));
    proto_put(&out, 1, 1);
    fleet_reply(rq, &out);
    return OK;
}

/* POST …/confirm-message-received */
enum status message_confirm(struct request *rq, struct error *err)
{
    return node_leave(rq, err);
}

static enum status read_object(struct request *rq, const struct entry *entry, struct str *out, struct error *err)
{
    struct object object;
    struct store_view *view;
    struct store_piece piece;
    bool found = true;
    char *into = arena_alloc(rq->arena, (size_t)entry->size + 1);
    *out = (struct str){into, (size_t)entry->size};
    TRY(store_lookup(rq->db, rq->repo.id, entry->sha256, &object, err));
    TRY(store_view_open(rq->hub->store, rq->db, object.id, 0, entry->size, &view, err));
    enum status status = OK;
    for (int64_t left = entry->size; status == OK && left > 0 && found;) {
        status = store_view_next(view, &piece, &found, err);
        if (status != OK || !found)
            break;
        if (piece.length > left)
            piece.length = left;
        if (piece.fd >= 0)
            status = pread_full(piece.fd, into, (size_t)piece.length, piece.offset, err);
        else
            memcpy(into, piece.data, (size_t)piece.length);
        into += piece.length;
        left -= piece.length;
    }
    store_view_close(view);
    return status;
}

/* The app that SuperNodes run, a file of the repo: what is trained with is versioned and logged like what is trained. */
struct app {
    struct str id, version; /* "publisher/name", "1.0.0" */
    struct str bytes, digest;
};

/* "flwr build" says in a file's name what nodes want to be told beforehand: publisher.name.1-0-0.12345678.fab. */
static bool read_name(struct arena *arena, struct str name, struct app *out)
{
    struct str publisher, project, version;
    if (!str_ends(name, STR(".fab")) || !str_cut(&name, '.', &publisher) || !str_given(name) ||
        !str_cut(&name, '.', &project) || !str_given(name) || !str_cut(&name, '.', &version) || !str_given(name))
        return false;
    struct str dotted = arena_copy(arena, version);
    for (char *c = (char *)dotted.data; *c; c++)
        *c = *c == '-' ? '.' : *c;
    out->id = arena_printf(arena, "%.*s/%.*s", STR_ARG(publisher), STR_ARG(project));
    out->version = dotted;
    return true;
}

static enum status find_file(struct request *rq, const struct part *part, struct app *app, struct entry *out,
                             struct error *err)
{
    struct entry *entries;
    size_t count, found = 0;
    bool more;
    const struct listing how = {.limit = 1000};
    TRY(request_read(rq, err));
    TRY(entry_list(rq->db, rq->arena, rq->repo.id, &part->base, STR(""), &how, &entries, &count, &more, err));
    for (size_t i = 0; i < count; i++)
        if (!entries[i].is_folder && entries[i].size <= (int64_t)APP_MOST &&
            read_name(rq->arena, entries[i].path, app)) {
            *out = entries[i];
            found++;
        }
    if (found == 1)
        return OK;
    return fail(
        err, NOT_FOUND, "NoApp",
        "SuperNodes run the app that the repo holds: commit to main the one .fab file that \"flwr build\" makes, "
        "under the name that it has then, of at most %zu MiB. There %s.",
        APP_MOST >> 20, found ? "are several" : "is none");
}

static enum status find_app(struct request *rq, struct part *part, struct app *out, struct error *err)
{
    struct entry entry;
    uint8_t hash[SHA256_SIZE];
    TRY(part_find(rq, part, err));
    if (part->round == 0 || part->state == PART_OVER)
        return fail(err, NOT_FOUND, "NoRun", "There is no federated training of this repo under way.");
    TRY(find_file(rq, part, out, &entry, err));
    TRY(entry.is_lfs ? read_object(rq, &entry, &out->bytes, err)
                     : blob_read(rq->db, rq->arena, rq->repo.id, &entry.oid, &out->bytes, err));
    sha256(out->bytes, hash);
    out->digest = hex_encode(rq->arena, hash, sizeof hash);
    return OK;
}

/* POST …/get-run */
enum status fleet_run(struct request *rq, struct error *err)
{
    struct proto message;
    struct part part;
    struct app app;
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &message, err));
    TRY(find_app(rq, &part, &app, err));
    int64_t run = proto_mark(&out);
    proto_put(&out, 18, run_number(&part)); /* of the series, which is this run alone */
    proto_put_text(&out, 12, rq->repo.full_name);
    int64_t status = proto_mark(&out);
    proto_put_text(&out, 1, STR("running"));
    proto_close(&out, 10, status);
    proto_put_text(&out, 5, app.digest);
    proto_put_text(&out, 3, app.version);
    proto_put_text(&out, 2, app.id);
    proto_put(&out, 1, run_number(&part));
    proto_close(&out, 1, run);
    fleet_reply(rq, &out);
    return OK;
}

/* POST …/get-fab */
enum status fleet_app(struct request *rq, struct error *err)
{
    struct proto message;
    struct proto_field field;
    struct part part;
    struct app app;
    struct str asked;
    bool found;
    auto_proto struct proto_out out = {0};
    TRY(fleet_message(rq, &message, err));
    TRY(proto_find(&message, 2, &field, &found, err));
    if (!found)
        return fail(err, INVALID, NULL, "The message must say which app.");
    TRY(proto_text(&message, &field, 64, rq->arena, &asked, err));
    TRY(find_app(rq, &part, &app, err));
    if (!str_eq(asked, app.digest))
        return fail(err, NOT_FOUND, "NoApp", "The branch main has another app by now.");
    int64_t fab = proto_mark(&out);
    proto_put_text(&out, 2, app.bytes);
    proto_put_text(&out, 1, app.digest);
    proto_close(&out, 1, fab);
    fleet_reply(rq, &out);
    return OK;
}
