/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disk that is full, fails, or a signer that is gone. */
#include "faults.h"
#include "house.h"

#include <sys/resource.h>
#include <sys/wait.h>

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static off_t length_of(struct house *house, const char *name)
{
    char path[256];
    struct stat found;
    house_path(house, name, path);
    assert_int_equal(stat(path, &found), 0);
    return found.st_size;
}

static void assert_unchanged(struct house *house, const struct ledger_state *before)
{
    struct ledger_state now = house_state(house);
    assert_memory_equal(&now, before, sizeof now);
    assert_no_findings(house->ledger);
}

static void entries_that_the_disk_does_not_take_leave_nothing(void **state)
{
    struct house *house = *state;
    signal(SIGXFSZ, SIG_IGN);
    house_open(house);
    house_append(house, 500);
    struct ledger_state before = house_state(house);
    off_t length = length_of(house, "entries");
    limit_file_size((rlim_t)length + 30000);
    enum status status = house_try_append(house, 700);
    limit_file_size(RLIM_INFINITY);
    assert_int_not_equal(status, OK);
    assert_unchanged(house, &before);
    assert_int_equal(length_of(house, "entries"), length);
    house_append(house, 700);
    assert_int_equal(house_state(house).size, 1200);
    assert_no_findings(house->ledger);
    house_close(house);
    house_open(house);
    assert_no_findings(house->ledger);
}

/* Entries of a byte take less room than the hashes of them. */
static void hashes_that_the_disk_does_not_take_leave_nothing(void **state)
{
    struct house *house = *state;
    static struct str entries[3000];
    uint64_t first;
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        entries[i] = STR("x");
    house_open(house);
    assert_int_equal(ledger_append(house->ledger, entries, 500, &first, &house->err), OK);
    struct ledger_state before = house_state(house);
    limit_file_size(70000);
    enum status status = ledger_append(house->ledger, entries, 3000, &first, &house->err);
    limit_file_size(RLIM_INFINITY);
    assert_int_not_equal(status, OK);
    assert_unchanged(house, &before);
    assert_int_equal(ledger_append(house->ledger, entries, 3000, &first, &house->err), OK);
    assert_int_equal(first, 500);
    assert_no_findings(house->ledger);
}

/* Lets one step of an append fail in this process, or in the signer. Afterwards the log takes more, or says that it
 * must be opened again; then all that was acknowledged is there. False when there is no such step any more. */
static bool goes_on_after_fault(struct house *house, long at, bool in_signer)
{
    struct ledger_state before, after;
    fault_tell_signer(house->folder, in_signer ? FAULT_FAIL : FAULT_NONE, at);
    if (house_try_open(house) != OK) {
        assert_true(in_signer);
        fault_tell_signer(house->folder, FAULT_NONE, 0);
        return true;
    }
    before = house_state(house);
    if (!in_signer)
        fault_arm(FAULT_FAIL, at);
    enum status status = house_try_append(house, 300);
    bool reached = faults.steps >= at;
    fault_arm(FAULT_NONE, 0);
    after = house_state(house);
    assert_int_equal(after.size, before.size + (status == OK ? 300 : 0));
    assert_no_findings(house->ledger);
    enum status next = house_try_append(house, 5);
    assert_true(next == OK || next == UNAVAILABLE || (in_signer && status == OK));
    reached = in_signer ? next != OK : reached;
    after = house_state(house);
    house_close(house);
    fault_tell_signer(house->folder, FAULT_NONE, 0);
    house_open(house);
    struct ledger_state again = house_state(house);
    assert_true(again.size >= after.size);
    assert_extends(house->ledger, &after, &again);
    assert_no_findings(house->ledger);
    house_append(house, 7);
    house_close(house);
    return reached;
}

static void every_step_of_an_append_may_fail(void **state)
{
    long at = 1;
    while (goes_on_after_fault(*state, at, false))
        at++;
    assert_true(at > 15);
}

static void every_step_of_the_signer_may_fail(void **state)
{
    long at = 1;
    while (goes_on_after_fault(*state, at, true))
        at++;
    assert_true(at > 4);
}

/* The step is found by looking, because a kernel answers only the first sync after a failed write. */
static void after_a_failed_sync_nothing_is_taken_until_the_log_is_opened_again(void **state)
{
    struct house *house = *state;
    uint64_t first;
    struct str entry = STR("x");
    fault_tell_signer(house->folder, FAULT_NONE, 0);
    house_open(house);
    struct ledger_state before = house_state(house);
    fault_arm(FAULT_FAIL, 3); /* after the node and the entry */
    assert_int_not_equal(ledger_append(house->ledger, &entry, 1, &first, &house->err), OK);
    fault_arm(FAULT_NONE, 0);
    assert_non_null(strstr(house->err.message, "sync"));
    for (int i = 0; i < 3; i++)
        assert_int_equal(ledger_append(house->ledger, &entry, 1, &first, &house->err), UNAVAILABLE);
    assert_unchanged(house, &before);
    house_close(house);
    house_open(house);
    house_append(house, 1);
}

static pid_t signer_of_this_process(void)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    if (!file || !fgets(text, sizeof text, file))
        fail_msg("no child");
    fclose(file);
    return (pid_t)atoi(text);
}

static void a_signer_that_died_fails_appends_but_not_readers(void **state)
{
    struct house *house = *state;
    fault_tell_signer(house->folder, FAULT_NONE, 0);
    house_open(house);
    house_append(house, 300);
    struct ledger_state before = house_state(house);
    kill(signer_of_this_process(), SIGKILL);
    assert_int_equal(house_try_append(house, 5), UNAVAILABLE);
    assert_int_equal(house_try_append(house, 5), UNAVAILABLE);
    assert_unchanged(house, &before);
    assert_entry(house->ledger, 299);
    house_close(house);
    house_open(house);
    assert_int_equal(house_state(house).size, 300);
    house_append(house, 5);
    assert_no_findings(house->ledger);
}

#define HOUSED(test) cmocka_unit_test_setup_teardown(test, house_make, house_remove)
static const struct CMUnitTest tests[] = {
    HOUSED(entries_that_the_disk_does_not_take_leave_nothing),
    HOUSED(hashes_that_the_disk_does_not_take_leave_nothing),
    HOUSED(every_step_of_an_append_may_fail),
    HOUSED(every_step_of_the_signer_may_fail),
    HOUSED(after_a_failed_sync_nothing_is_taken_until_the_log_is_opened_again),
    HOUSED(a_signer_that_died_fails_appends_but_not_readers),
};

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "signer") == 0) {
        fault_arm_signer(argv[2]);
        return signer_main(argc - 1, argv + 1);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
