/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "witness/internal.h"

/* Names of witnesses have no control characters, but otherwise may have any. */
static void write_label(struct buf *out, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, name.data[i]);
    }
}

void witness_metrics(struct witness *witness, struct buf *out)
{
    if (!witness)
        return;
    pthread_mutex_lock(&witness->lock);
    int64_t lag_us = witness->waits_us ? monotonic_us() - witness->waits_us : 0;
    buf_printf(out,
               "# TYPE cairn_witness_alarm gauge\ncairn_witness_alarm %d\n"
               "# TYPE cairn_witness_cosigned_size gauge\ncairn_witness_cosigned_size %llu\n"
               "# TYPE cairn_witness_lag_seconds gauge\ncairn_witness_lag_seconds %.3f\n"
               "# TYPE cairn_witness_last_success_seconds gauge\n",
               witness->alarm[0] != 0, (unsigned long long)witness->cosigned_size, (double)lag_us / SECOND_US);
    for (size_t i = 0; i < witness->peer_count; i++) {
        buf_printf(out, "cairn_witness_last_success_seconds{witness=\"");
        write_label(out, witness->peers[i].party->verifier.name);
        buf_printf(out, "\"} %.3f\n", (double)witness->peers[i].last_success_us / SECOND_US);
    }
    pthread_mutex_unlock(&witness->lock);
}
