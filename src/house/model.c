/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps "model" and "cosign": the model that a round starts from, and the one that comes of it, which is computed here again. */
#include "house/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_LIMIT ((size_t)4 << 20)

/* The model as a file: its size follows from its header and the configuration. */

static enum status read_head(int fd, int64_t have, struct buf *head, struct error *err)
{
    uint8_t first[8];
    int64_t len;
    if (have < 8)
        return OK;
    TRY(pread_full(fd, first, sizeof first, 0, err));
    TRY(tensor_header_size(first, &len, err));
    if (have < len + 8)
        return OK;
    buf_reserve(head, (size_t)len + 8);
    TRY(pread_full(fd, head->data, (size_t)len + 8, 0, err));
    head->len = (size_t)len + 8;
    return OK;
}

static enum status check_whole(const struct asked *asked, int fd, int64_t size, const struct buf *head,
                               struct error *err)
{
    uint8_t model[SHA256_SIZE], manifest[SHA256_SIZE];
    TRY(file_digest(fd, 0, size, model, err));
    sha256(buf_view(head), manifest);
    if (memcmp(model, asked->pact.model, SHA256_SIZE) == 0 && memcmp(manifest, asked->pact.manifest, SHA256_SIZE) == 0)
        return OK;
    return fail(err, UNPROCESSABLE, NULL, "The model that was sent is not the one of the round's configuration.");
}

static enum status receive(struct asked *asked, const char *path, int64_t at, struct str piece, int64_t *have,
                           struct error *err)
{
    auto_buf struct buf head = {0};
    struct stat about;
    char whole[4096];
    auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &about) != 0)
        return fail_errno(err, path);
    *have = about.st_size;
    if (at == *have && piece.len) {
        TRY(pwrite_full(fd, piece.data, piece.len, at, err));
        *have += (int64_t)piece.len;
    }
    enum status status = read_head(fd, *have, &head, err);
    int64_t size = (int64_t)head.len + asked->pact.dimension * (int64_t)sizeof(float);
    if (status == OK && head.len && *have > size)
        status = fail(err, INVALID, NULL, "The model is longer than its header says.");
    if (status == OK && head.len && *have == size)
        status = check_whole(asked, fd, size, &head, err);
    else if (status == OK)
        return OK;
    house_path(asked, asked->request->round, "model", whole);
    if (status != OK)
        unlink(path);
    TRY(status);
    return fdatasync(fd) == 0 && rename(path, whole) == 0 ? OK : fail_errno(err, path);
}

enum status step_model(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    char whole[4096], part[4096], folder[4096];
    struct stat about;
    int64_t at, have = 0;
    if (!wire_take_int(&payload, &at) || payload.len > WIRE_PIECE)
        return fail(err, INVALID, NULL, "This is no piece of a model.");
    snprintf(folder, sizeof folder, "%s/runs/%.*s", asked->house->folder, STR_ARG(asked->run));
    TRY(folder_make(folder, 0700, err));
    house_path(asked, asked->request->round, "model", whole);
    house_path(asked, asked->request->round, "model.part", part);
    if (stat(whole, &about) == 0)
        have = about.st_size;
    else
        TRY(receive(asked, part, at, payload, &have, err));
    wire_int(out, have);
    return OK;
}

/* The new model. */

struct making {
    struct asked *asked;
    struct closing c;
    struct house_facts facts;
    size_t *bucket_of; /* by place in the list: that is all that this house knows of a report */
    json_t *settings;
    struct federate folder;
    struct hub hub; /* of which nothing is there but the folder */
};

static void making_end(struct making *m)
{
    rows_close(&m->c.rows);
    model_close(&m->c.base);
    fd_close(&m->c.out);
    json_release(&m->settings);
}

static enum status open_base(struct making *m, struct error *err)
{
    struct model *base = &m->c.base;
    struct stat about;
    char path[4096];
    house_path(m->asked, m->asked->request->round, "model", path);
    base->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (base->fd < 0 || fstat(base->fd, &about) != 0)
        return fail_errno(err, path);
    base->size = about.st_size;
    TRY(read_head(base->fd, base->size, &base->head, err));
    base->data_at = (int64_t)base->head.len;
    base->width = m->asked->pact.dimension;
    base->sha256 = hex_encode(m->asked->arena, m->asked->pact.model, SHA256_SIZE);
    return OK;
}

/* What the hub says of those that never came to this house, and what its judge has said of candidates, it alone knows. */
static enum status read_claims(struct making *m, struct str record, struct error *err)
{
    auto_json json_t *said = NULL;
    TRY(json_read(record, RECORD_LIMIT, &said, err));
    m->c.run.round_rejected = json_get_int(said, "rejected", -1);
    const json_t *reasons = json_object_get(said, "reasons");
    for (int i = VERDICT_SEAL; i < VERDICTS; i++)
        m->facts.reasons[i] = json_get_int(reasons, report_verdict_name((enum verdict)i), 0);
    return race_of_record(&m->c, said, err);
}

static enum status check_hub_sums(const struct asked *asked, int fd, size_t buckets, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    for (size_t i = 0; i < buckets; i++) {
        TRY(file_digest(fd, (int64_t)(i * asked->pine.agg_share), (int64_t)asked->pine.agg_share, digest, err));
        if (memcmp(digest, asked->row.hub_sums.data + i * SHA256_SIZE, SHA256_SIZE) != 0)
            return fail(err, FORBIDDEN, "OtherSum", "The hub's sum is not the one that it had committed to.");
    }
    return OK;
}

static enum status make_rows(struct making *m, struct error *err)
{
    const struct asked *asked = m->asked;
    struct house_facts *facts = &m->facts;
    auto_fd int ours = -1, theirs = -1, means = -1;
    TRY(house_file(asked, "sums-house", &ours, err));
    TRY(house_file(asked, "sums-hub", &theirs, err));
    TRY(house_file(asked, "means", &means, err));
    TRY(check_hub_sums(asked, theirs, facts->buckets, err));
    rows_make(&m->c.rows, asked->arena, facts->buckets);
    m->c.rows.are_changes = true;
    m->c.rows.row_of = m->bucket_of;
    for (size_t i = 0; i < facts->buckets; i++) {
        m->c.rows.at[i] = (int64_t)i * asked->pact.dimension * (int64_t)sizeof(float);
        TRY(sum_mean(&asked->pine, theirs, ours, (int64_t)(i * asked->pine.agg_share), facts->members[i],
                     (int)asked->pact.fraction_bits, means, m->c.rows.at[i], &facts->norms[i], err));
        TRY(house_file(asked, "means", &m->c.rows.fds[i], err));
    }
    return OK;
}

static enum status find_reports(struct making *m, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    uint8_t(*signatures)[PACT_SIGNATURE_SIZE] = arena_array(m->asked->arena, m->c.count, sizeof *signatures);
    struct report report;
    TRY(db_reader(m->asked->house->db, &conn, err));
    for (size_t i = 0; i < m->c.count; i++) {
        TRY(asked_report(m->asked, conn, i, &report, err));
        memcpy(signatures[i], report.signature, PACT_SIGNATURE_SIZE);
    }
    reports_root(signatures, m->c.count, m->facts.reports);
    return OK;
}

static enum status find_facts(struct making *m, struct error *err)
{
    struct asked *asked = m->asked;
    struct house_facts *facts = &m->facts;
    TRY(asked_buckets(asked, &m->c.count, &m->bucket_of, &facts->buckets, err));
    if (asked->row.hub_sums.len != facts->buckets * SHA256_SIZE ||
        asked->row.own_sums.len != facts->buckets * SHA256_SIZE)
        return fail(err, CONFLICT, NULL, "No sums have been exchanged yet.");
    memcpy(facts->ctx, asked->ctx, SHA256_SIZE);
    sha256(asked->row.list, facts->list);
    memcpy(facts->randoms[0], asked->row.hub_random.data, 32);
    memcpy(facts->randoms[1], asked->row.draw.data, 32);
    facts->members = arena_array(asked->arena, facts->buckets, sizeof *facts->members);
    facts->sums = arena_array(asked->arena, facts->buckets, sizeof *facts->sums);
    facts->norms = arena_array(asked->arena, facts->buckets, sizeof *facts->norms);
    for (size_t i = 0; i < m->c.count; i++)
        facts->members[m->bucket_of[i]]++;
    for (size_t i = 0; i < facts->buckets; i++) {
        memcpy(facts->sums[i][0], asked->row.hub_sums.data + i * SHA256_SIZE, SHA256_SIZE);
        memcpy(facts->sums[i][1], asked->row.own_sums.data + i * SHA256_SIZE, SHA256_SIZE);
    }
    return find_reports(m, err);
}

/* What a run keeps from round to round lies here under the names that it has on a hub. */
static enum status compute(struct making *m, struct error *err)
{
    const struct asked *asked = m->asked;
    char from[4096], to[4096];
    house_path(asked, asked->request->round + 1, "model.new", from);
    house_path(asked, asked->request->round + 1, "model", to);
    m->c.out = open(from, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (m->c.out < 0)
        return fail_errno(err, from);
    TRY(closing_aggregate(&m->c, closing_chosen(&m->c), m->c.out, true, err));
    TRY(file_digest(m->c.out, 0, m->c.base.size, m->c.sha256, err));
    return fdatasync(m->c.out) == 0 && rename(from, to) == 0 ? OK : fail_errno(err, to);
}

static enum status make_record(struct making *m, struct str record, struct error *err)
{
    struct asked *asked = m->asked;
    TRY(settings_of(asked->row.config, &m->settings, &m->c.run.settings, err));
    m->c.run.public_id = asked->pact.run;
    m->c.run.round = asked->pact.round;
    hex_decode(asked->pact.base, m->c.run.base.bytes, SHA1_SIZE);
    TRY(read_claims(m, record, err));
    TRY(find_facts(m, err));
    TRY(open_base(m, err));
    TRY(make_rows(m, err));
    TRY(compute(m, err));
    TRY(suspicion_weigh(&m->c, closing_chosen(&m->c), err));
    m->c.facts = &m->facts;
    round_write_record(&m->c);
    return OK;
}

static enum status sign_record(struct asked *asked, struct str record, uint8_t signature[PACT_SIGNATURE_SIZE],
                               struct error *err)
{
    struct making m = {.asked = asked, .c = {.arena = asked->arena, .out = -1}};
    m.c.base.fd = -1;
    m.c.hub = &m.hub;
    m.hub.federate = &m.folder;
    if ((size_t)snprintf(m.folder.folder, sizeof m.folder.folder, "%s/runs", asked->house->folder) >=
        sizeof m.folder.folder)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    enum status status = make_record(&m, record, err);
    if (status == OK && !str_eq(m.c.record, record))
        status = fail(err, FORBIDDEN, "OtherRecord",
                      "The record is not what this house has computed: the model or what is said of it is another.");
    if (status == OK) {
        pact_sign_text(&asked->house->identity->sign, RECORD_TYPE, record, signature);
        struct round_change change = {
            asked, ROUND_RECORD, record, {(char *)signature, PACT_SIGNATURE_SIZE}, {(char *)m.c.sha256, SHA256_SIZE}};
        status = round_set(asked->house, &change, err);
    }
    making_end(&m);
    return status;
}

enum status step_cosign(struct asked *asked, struct str payload, struct buf *out, struct error *err)
{
    uint8_t signature[PACT_SIGNATURE_SIZE];
    if (payload.len > RECORD_LIMIT)
        return fail(err, TOO_LARGE, NULL, "The record is too long.");
    if (str_given(asked->row.record)) {
        if (!str_eq(asked->row.record, payload))
            return fail(err, CONFLICT, "OtherRecord", "This house has signed another record for that round.");
        buf_str(out, asked->row.cosignature);
        return OK;
    }
    TRY(sign_record(asked, payload, signature, err));
    buf_add(out, signature, sizeof signature);
    return OK;
}
