/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rounds that wait for others, such as a second house: each is closed on a thread of its own, so that it holds up no other. */
#include "base/log.h"
#include "federate/internal.h"
#include <stdlib.h>
#include <unistd.h>

#define APART_PAUSE_US (2 * SECOND_US) /* after a failure: the other house may be away for long */

struct apart {
    struct hub *hub;
    int64_t run_id;
    size_t place;
};

static enum status prepare_round(struct hub *hub, int64_t run_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct error why = {0};
    struct run run;
    bool ready = true;
    TRY(db_reader(hub->db, &conn, err));
    TRY(run_get(conn, &arena, run_id, &run, err));
    if (run.state != RUN_OPEN || run.frozen_us)
        return OK;
    TRY(run.settings.mode->is_ready(conn, &run, &ready, err));
    db_release(&conn);
    if (ready)
        return OK;
    enum status status = run.settings.mode->prepare(hub, &arena, &run, &why);
    if (status == OK)
        return OK;
    if (round_ends_run(hub, &run, &why, &status, err)) {
        run_files_remove(hub->federate, &run);
        return status;
    }
    *err = why;
    return status;
}

static void end_apart(struct federate *federate, size_t place)
{
    pthread_mutex_lock(&federate->apart_lock);
    federate->apart[place] = 0;
    pthread_cond_broadcast(&federate->apart_ended);
    pthread_mutex_unlock(&federate->apart_lock);
}

static void *work_apart(void *context)
{
    struct apart work = *(struct apart *)context;
    struct error err = {0};
    free(context);
    enum status status = round_close_now(work.hub, work.run_id, &err);
    if (status == OK && !work.hub->stopping)
        status = prepare_round(work.hub, work.run_id, &err);
    waits_changed(&work.hub->federate->waits);
    if (status != OK && status != STALE)
        log_line("error", "federate", "A round is not closed yet: %s", err.message);
    for (int64_t waited = 0; status != OK && waited < APART_PAUSE_US && !work.hub->stopping; waited += SECOND_US / 10)
        usleep(SECOND_US / 10);
    end_apart(work.hub->federate, work.place);
    return NULL;
}

/* False when a thread is busy with the run already, or all places are taken: the job comes again. */
static bool take_place(struct federate *federate, int64_t run_id, size_t *out)
{
    bool taken = false;
    *out = APART_MOST;
    pthread_mutex_lock(&federate->apart_lock);
    for (size_t i = 0; i < APART_MOST; i++) {
        taken = taken || federate->apart[i] == run_id;
        if (*out == APART_MOST && federate->apart[i] == 0)
            *out = i;
    }
    taken = taken || *out == APART_MOST;
    if (!taken)
        federate->apart[*out] = run_id;
    pthread_mutex_unlock(&federate->apart_lock);
    return !taken;
}

void rounds_start_apart(struct hub *hub, int64_t run_id)
{
    pthread_t thread;
    size_t place;
    if (!take_place(hub->federate, run_id, &place))
        return;
    struct apart *work = malloc(sizeof *work);
    if (!work)
        abort();
    *work = (struct apart){hub, run_id, place};
    if (pthread_create(&thread, NULL, work_apart, work) == 0) {
        pthread_detach(thread);
        return;
    }
    free(work);
    end_apart(hub->federate, place);
}

void rounds_end(struct federate *federate)
{
    pthread_mutex_lock(&federate->apart_lock);
    for (size_t i = 0; i < APART_MOST; i++)
        while (federate->apart[i])
            pthread_cond_wait(&federate->apart_ended, &federate->apart_lock);
    pthread_mutex_unlock(&federate->apart_lock);
}
