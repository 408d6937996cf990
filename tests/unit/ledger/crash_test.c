/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Killed at every step, or at any moment: nothing acknowledged is lost, and no size ever has two roots. */
#include "faults.h"
#include "house.h"

#include <sys/wait.h>

#define ROUNDS 40

/* What the world has been shown of the log. */
struct seen {
    struct ledger_state *states;
    size_t count;
    uint64_t acknowledged;
};

static void see(struct seen *seen, const struct ledger_state *state)
{
    for (size_t i = 0; i < seen->count; i++)
        if (seen->states[i].size == state->size)
            assert_memory_equal(seen->states[i].root, state->root, SHA256_SIZE);
    seen->states = realloc(seen->states, (seen->count + 1) * sizeof *seen->states);
    seen->states[seen->count++] = *state;
}

/* A checkpoint may have been published, and then the process killed before it could say so. */
static void see_file(struct house *house, struct seen *seen)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf bytes = {0};
    struct note note;
    struct checkpoint checkpoint;
    struct ledger_state state;
    char path[256];
    house_path(house, "checkpoint", path);
    if (file_read_all(path, 65536, &bytes, NULL) == NOT_FOUND)
        return;
    assert_int_equal(note_parse(&arena, buf_view(&bytes), &note, &house->err), OK);
    assert_int_equal(checkpoint_parse(note.text, &checkpoint, &house->err), OK);
    state.size = checkpoint.size;
    memcpy(state.root, checkpoint.root.bytes, SHA256_SIZE);
    see(seen, &state);
}

static void assert_nothing_lost(struct house *house, struct seen *seen)
{
    see_file(house, seen);
    house_open(house);
    struct ledger_state now = house_state(house);
    assert_true(now.size >= seen->acknowledged);
    see(seen, &now);
    for (size_t i = 0; i < seen->count; i++)
        assert_extends(house->ledger, &seen->states[i], &now);
    for (uint64_t index = 0; index < now.size; index += 1 + now.size / 100)
        assert_entry(house->ledger, index);
    assert_no_findings(house->ledger);
    house_append(house, 3);
    now = house_state(house);
    see(seen, &now);
    seen->acknowledged = now.size;
    assert_no_findings(house->ledger);
    house_close(house);
}

/* Appends groups and tells the parent what was acknowledged: until it is killed, has nothing left, or the signer is
 * gone. */
static void child_run(struct house *house, const size_t *groups, size_t count, int to_parent)
{
    if (house_try_open(house) != OK)
        _exit(1);
    for (size_t i = 0; i < count; i++) {
        if (house_try_append(house, groups[i]) != OK)
            _exit(house->err.status == UNAVAILABLE ? 1 : 2);
        struct ledger_state state = house_state(house);
        if (syscall(SYS_write, to_parent, &state, sizeof state) != sizeof state)
            _exit(2);
    }
    _exit(0);
}

static pid_t child_start(struct house *house, const size_t *groups, size_t count, enum fault fault, long at,
                         int *from_child)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        fault_arm(fault, at);
        child_run(house, groups, count, ends[1]);
    }
    assert_true(pid > 0);
    close(ends[1]);
    *from_child = ends[0];
    return pid;
}

static void hear(int from_child, struct seen *seen)
{
    struct ledger_state state;
    while (read(from_child, &state, sizeof state) == sizeof state) {
        assert_true(state.size > seen->acknowledged);
        seen->acknowledged = state.size;
        see(seen, &state);
    }
    close(from_child);
}

static int child_end(pid_t pid)
{
    int how;
    while (waitpid(pid, &how, 0) < 0)
        assert_int_equal(errno, EINTR);
    return how;
}

static const size_t few_groups[] = {3, 250, 10, 300};

/* Whether the fault came before all was done. */
static bool survives(struct house *house, enum fault hub, enum fault signer, long at)
{
    struct seen seen = {0};
    int from_child;
    fault_tell_signer(house->folder, signer, at);
    pid_t pid = child_start(house, few_groups, sizeof few_groups / sizeof *few_groups, hub, at, &from_child);
    hear(from_child, &seen);
    int how = child_end(pid);
    assert_true(hub == FAULT_KILL ? WIFSIGNALED(how) || WEXITSTATUS(how) == 0 : WIFEXITED(how) && WEXITSTATUS(how) < 2);
    fault_tell_signer(house->folder, FAULT_NONE, 0);
    assert_nothing_lost(house, &seen);
    free(seen.states);
    return how != 0;
}

static long count_steps(struct house *house, enum fault hub, enum fault signer)
{
    long step = 1;
    while (survives(house, hub, signer, step)) {
        remove_tree(house->folder);
        step++;
    }
    return step - 1;
}

static void the_hub_may_be_killed_at_every_step(void **state)
{
    assert_true(count_steps(*state, FAULT_KILL, FAULT_NONE) > 60);
}

static void the_signer_may_be_killed_at_every_step(void **state)
{
    assert_true(count_steps(*state, FAULT_NONE, FAULT_KILL) > 15);
}

/* Leaves a log with a torn tail, and kills the process that opens it at a step. False when it had no such step. */
static bool recovery_survives(struct house *house, long at)
{
    struct seen seen = {0};
    auto_buf struct buf torn = {0};
    int from_child;
    fault_tell_signer(house->folder, FAULT_NONE, 0);
    house_open(house);
    house_append(house, 300);
    struct ledger_state now = house_state(house);
    house_close(house);
    see(&seen, &now);
    seen.acknowledged = now.size;
    read_file(house, "entries", &torn);
    buf_str(&torn, STR("\0\3abc\0\4a"));
    write_file(house, "entries", buf_view(&torn));
    pid_t pid = child_start(house, NULL, 0, FAULT_KILL, at, &from_child);
    hear(from_child, &seen);
    int how = child_end(pid);
    assert_nothing_lost(house, &seen);
    free(seen.states);
    remove_tree(house->folder);
    return how != 0;
}

static void recovery_may_be_killed_at_every_step(void **state)
{
    long at = 1;
    while (recovery_survives(*state, at))
        at++;
    assert_true(at > 15);
}

static void the_hub_may_be_killed_at_any_moment(void **state)
{
    struct house *house = *state;
    struct seen seen = {0};
    static size_t groups[100000];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        groups[i] = 1 + (random >> 33) % (i % 5 == 0 ? 600 : 20);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int from_child;
        struct ledger_state first;
        pid_t pid = child_start(house, groups + round * 1000, 1000, FAULT_NONE, 0, &from_child);
        if (read(from_child, &first, sizeof first) == sizeof first) {
            see(&seen, &first);
            seen.acknowledged = first.size;
        }
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        usleep((useconds_t)((random >> 33) % 15000));
        kill(pid, SIGKILL);
        hear(from_child, &seen);
        child_end(pid);
        assert_nothing_lost(house, &seen);
    }
    free(seen.states);
}

#define HOUSED(test) cmocka_unit_test_setup_teardown(test, house_make, house_remove)
static const struct CMUnitTest tests[] = {
    HOUSED(the_hub_may_be_killed_at_every_step),
    HOUSED(the_signer_may_be_killed_at_every_step),
    HOUSED(recovery_may_be_killed_at_every_step),
    HOUSED(the_hub_may_be_killed_at_any_moment),
};

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "signer") == 0) {
        fault_arm_signer(argv[2]);
        return signer_main(argc - 1, argv + 1);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
