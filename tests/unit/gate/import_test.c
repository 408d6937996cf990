/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desk.h"
#include "gate/csv.h"
#include "gate/import.h"

static struct import_file read_file(struct desk *desk, const char *text)
{
    struct import_file out;
    GOOD(import_read(&desk->arena, str_of(text), &out, err));
    return out;
}

static void quotes_commas_and_line_ends_are_read_as_rfc_4180_has_them(void **state)
{
    struct desk *desk = *state;
    struct csv csv = csv_open(STR("\xef\xbb\xbf"
                                  "a,\"b,\"\"c\"\"\nd\",\r\n\n,,x"));
    struct str fields[CSV_COLUMNS_MOST];
    struct error err = {0};
    size_t count;
    assert_true(csv_next(&csv, &desk->arena, fields, &count, &err));
    assert_int_equal(count, 3);
    assert_string_equal(fields[1].data, "b,\"c\"\nd");
    assert_int_equal(fields[2].len, 0);
    assert_true(csv_next(&csv, &desk->arena, fields, &count, &err));
    assert_int_equal(count, 3);
    assert_string_equal(fields[2].data, "x");
    assert_false(csv_next(&csv, &desk->arena, fields, &count, &err));
    assert_int_equal(err.status, OK);
}

static void what_is_no_such_file_is_refused_with_its_line(void **state)
{
    static const char *const wrong[] = {
        "",
        "name,status\nx,accepted\n",
        "user,mood\nx,good\n",
        "user,status\nx,maybe\n",
        "user,status\n,accepted\n",
        "user,status\nx,accepted,more\n",
        "user,status\n\"x,accepted\n",
        "user,status\n\"x\"y,accepted\n",
        "user,status\nx\"y,accepted\n",
        "user,status\nx\ry,accepted\n",
        "user,status\n\xff,accepted\n",
        "user,user,status\nx,y,accepted\n",
        "user,status,q,q\nx,accepted,1,2\n",
        "[3]",
        "[{\"user\":\"x\"}]",
        "[",
        "[{\"user\":\"x\",\"status\":\"gone\"}]",
    };
    struct desk *desk = *state;
    struct import_file out;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = {0};
        if (import_read(&desk->arena, str_of(wrong[i]), &out, &err) != INVALID || !err.message[0])
            print_error("taken: %s\n", wrong[i]), _fail(__FILE__, __LINE__);
    }
}

static void csv_and_json_say_the_same(void **state)
{
    struct desk *desk = *state;
    struct import_file csv =
        read_file(desk, "Username,Full name,Email,Status,Timestamp,Company\nann,Ann,a@b.example,accepted,2025,Uni\n");
    struct import_file json =
        read_file(desk, "[{\"user\":{\"user\":\"ann\",\"fullname\":\"Ann\",\"email\":\"a@b.example\"},\"status\":"
                        "\"accepted\",\"timestamp\":\"2025\",\"requestId\":\"7\",\"fields\":{\"Company\":\"Uni\"}}]");
    assert_int_equal(csv.count, 1);
    assert_int_equal(json.count, 1);
    assert_true(str_eq(csv.people->email, json.people->email) && str_eq(csv.people->user, json.people->user));
    assert_true(str_eq(csv.people->answers, json.people->answers));
    assert_string_equal(csv.people->answers.data, "{\"Company\":\"Uni\"}");
    assert_int_equal(csv.question_count, 1);
}

static void report(void *context, struct str user, const char *what, const char *why)
{
    (void)user, (void)why;
    ((char *)context)[strlen(context)] = what[0];
}

static struct import run(struct desk *desk, const char *text, bool dry, bool trust, char became[16])
{
    struct import how = {.dry_run = dry, .trust_names = trust, .report = report, .context = became};
    memset(became, 0, 16);
    GOOD(gate_import(desk->db, &desk->repo, str_of(text), &how, err));
    return how;
}

static const char people[] = "user,email,status,timestamp,Why\n"
                             "person0,zero@uni.example,accepted,2025-01-01,to learn\n"
                             "person1,other@uni.example,accepted,,\n" /* the account has another address */
                             "person2,,pending,,for fun\n"
                             "person3,,rejected,,\n"
                             "nobody,,accepted,,\n";

static void give_addresses(struct desk *desk)
{
    GOOD(db_write(desk->db, run_sql,
                  (void *)"UPDATE account SET email = 'zero@uni.example' WHERE name = 'person0';"
                          "UPDATE account SET email = 'one@uni.example' WHERE name = 'person1'",
                  err));
}

static void people_are_taken_over_when_it_is_clear_who_they_are(void **state)
{
    struct desk *desk = *state;
    char became[16];
    give_addresses(desk);
    run(desk, people, false, false, became);
    assert_string_equal(became, "assss");
    run(desk, people, false, true, became);
    assert_string_equal(became, "ssprs"); /* an address that differs is never overruled */
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 1"), 1);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request WHERE state = 3"), 1);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request WHERE state = 8"), 1);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM event WHERE kind = 'access.decision' AND body LIKE "
                                     "'%\"grant\"%import%'"),
                     1);
    run(desk, people, false, true, became); /* once more changes nothing */
    assert_string_equal(became, "sssss");
}

static void a_dry_run_tells_the_same_and_changes_nothing(void **state)
{
    struct desk *desk = *state;
    char became[16];
    give_addresses(desk);
    struct import told = run(desk, people, true, true, became);
    assert_string_equal(became, "asprs");
    assert_int_equal(told.accepted, 1);
    assert_int_equal(told.skipped, 2);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request"), 0);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        at_desk(quotes_commas_and_line_ends_are_read_as_rfc_4180_has_them),
        at_desk(what_is_no_such_file_is_refused_with_its_line),
        at_desk(csv_and_json_say_the_same),
        at_desk(people_are_taken_over_when_it_is_clear_who_they_are),
        at_desk(a_dry_run_tells_the_same_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
