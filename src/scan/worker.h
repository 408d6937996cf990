/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SCAN_WORKER_H
#define CAIRN_SCAN_WORKER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "leaf/tensor.h"

/*
 * The wall between the server and what people upload (architecture, rule 5): a short-lived child of the same program
 * reads the foreign bytes on its standard input and prints what it found, as JSON, on its standard output. Before its
 * first byte of input it gives up everything but those two (sandbox.h).
 */
struct worker {
    const char *program;     /* path of the executable */
    const char *const *argv; /* with the program's name, ends with NULL */
    int64_t deadline_us;     /* from the start to the end of its output; then it is killed */
    size_t output_limit;     /* bytes; a child that prints more is killed */
    int64_t *spent_us;       /* processor time that it took is added here, whatever comes of it; NULL: nobody asks */
};

/*
 * Runs one child with input on its standard input and appends what it prints to out. When this returns the child is
 * dead and reaped, and no descriptor is left. Threads may call it at the same time.
 *
 * Errors: TIMED_OUT at the deadline; TOO_LARGE beyond the output limit; UNAVAILABLE when the child cannot be started or
 * ends without any output. After an error out is as it was.
 */
enum status worker_run(const struct worker *worker, struct str input, struct buf *out, struct error *err);

/*
 * What the header of a safetensors file holds (the bytes after the 8 bytes of length), found by the child:
 * {"parameters":{"F32":n,…},"total":n,"tensors":n}, or {"error":"…"} when the header is not valid. Both are OK, as both
 * are lasting facts about those bytes; an error says that this look failed, and callers go on without a summary. spent_us
 * as in struct worker.
 */
enum status scan_safetensors(struct str header, struct buf *out_json, int64_t *spent_us, struct error *err);

/*
 * The tensors of a safetensors file, found by the child from the same bytes; *out lives in the arena. INVALID and
 * TOO_LARGE with the reason are lasting facts about those bytes, of which the words are the child's; other errors say
 * that this look failed. Whoever knows how long the file is compares that with out->bytes.
 */
enum status scan_tensors(struct str header, struct arena *arena, struct tensor_list *out, int64_t *spent_us,
                         struct error *err);

/*
 * The child: `cairn worker safetensors` or `cairn worker tensors`, argv from "worker" on. Returns the exit status. The
 * tasks "probe-…" each try one thing that the sandbox must forbid, for its tests.
 */
int worker_main(int argc, char **argv);

#endif
