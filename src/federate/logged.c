/* SPDX-License-Identifier: GPL-3.0-or-later */
/* That the model which a round begins from is the one in the log: what participants check before they train (federated.md 2.3). */
#include "federate/internal.h"
#include "record/record.h"

/* Waits for nothing: who asks comes again. */
static enum status manifest_leaf(struct request *rq, const struct oid *base, uint64_t *index, struct error *err)
{
    enum status status = record_manifest(rq->hub, &rq->repo, base, index, err);
    if (status == UNAVAILABLE && error_is(err, RECORD_WAITS_FOR_TENSORS))
        return fail(err, CONFLICT, "NotLogged",
                    "What the model is follows in the log when it has been looked at. Try again in a moment.");
    return status;
}

/* GET /api/{api}/federate/proof?round=N: of the leaf of the round that has made the model, or of the manifest of whatever commit it is in. */
enum status proof_of_round_get(struct request *rq, struct error *err)
{
    struct run run, from;
    uint64_t index;
    int64_t round;
    bool by_round;
    if (!str_to_i64(request_query(rq, "round", 0), &round))
        return fail(err, INVALID, NULL, "The address must say \"round\", a whole number.");
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    if (run.state != RUN_OPEN || (round != run.round && !run.settings.buffers) ||
        run_as_of(rq->db, &run, round, &from, err) != OK)
        return fail(err, CONFLICT, "RoundOver", "Round %lld is not under way.", (long long)round);
    TRY(prov_revision_leaf(rq->db, rq->repo.id, from.base.bytes, REVISION_ROUND, &index, &by_round, err));
    request_done_reading(rq);
    if (!by_round)
        TRY(manifest_leaf(rq, &from.base, &index, err));
    return record_reply_proof(rq, index, by_round ? NULL : &from.base, err);
}
