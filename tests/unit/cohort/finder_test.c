/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The finder against the figures that the tests of Google's federated-compute (graph_parameter_finder_test) expect of theirs, for 2^-40 and
 * 2^-20: the same degree, and a threshold that is not higher. */
#include "../base/check.h"
#include "cohort/finder.h"

struct figure {
    int members;
    double adversarial, dropout;
    bool malicious;
    int degree, threshold;
};

static const struct figure figures[] = {
    {100, .45, .45, false, 92, 46},       {1000, .45, .45, false, 822, 417},
    {10000, .45, .45, false, 3494, 1771}, {10, .33, .33, false, 8, 4},
    {100, .33, .33, false, 68, 34},       {1000, .33, .33, false, 286, 150},
    {10000, .33, .33, false, 422, 221},   {100000, .33, .33, false, 480, 251},
    {1000000, .33, .33, false, 518, 270}, {100, .3, .3, true, 92, 62},
    {1000, .3, .3, true, 872, 584},       {10, .05, .33, false, 4, 2},
    {100, .05, .33, false, 28, 6},        {1000, .05, .33, false, 72, 24},
    {10000, .05, .33, false, 86, 29},     {100000, .05, .33, false, 96, 32},
    {1000000, .05, .33, false, 102, 34},  {10, .05, .33, true, 8, 5},
    {100, .05, .33, true, 72, 39},        {1000, .05, .33, true, 398, 223},
    {10000, .05, .33, true, 746, 420},    {100000, .05, .33, true, 882, 496},
    {1000000, .05, .33, true, 970, 545},  {10, .33, .05, false, 4, 4},
    {100, .33, .05, false, 34, 29},       {1000, .33, .05, false, 78, 60},
    {10000, .33, .05, false, 92, 70},     {100000, .33, .05, false, 102, 77},
    {1000000, .33, .05, false, 110, 83},  {10, .33, .05, true, 4, 4},
    {100, .33, .05, true, 42, 37},        {1000, .33, .05, true, 132, 109},
    {10000, .33, .05, true, 178, 146},    {100000, .33, .05, true, 196, 160},
    {1000000, .33, .05, true, 212, 173},  {10, .05, .05, false, 2, 2},
    {100, .05, .05, false, 12, 6},        {1000, .05, .05, false, 30, 17},
    {10000, .05, .05, false, 34, 20},     {100000, .05, .05, false, 36, 21},
    {1000000, .05, .05, false, 38, 22},   {10, .05, .05, true, 2, 2},
    {100, .05, .05, true, 16, 11},        {1000, .05, .05, true, 52, 37},
    {10000, .05, .05, true, 62, 44},      {100000, .05, .05, true, 68, 48},
    {1000000, .05, .05, true, 74, 52},    {10, .33, 0, false, 4, 4},
    {100, .33, 0, false, 26, 25},         {1000, .33, 0, false, 38, 36},
    {10000, .33, 0, false, 42, 40},       {100000, .33, 0, false, 46, 44},
    {1000000, .33, 0, false, 50, 47},     {10, .33, 0, true, 4, 4},
    {100, .33, 0, true, 26, 26},          {1000, .33, 0, true, 38, 37},
    {10000, .33, 0, true, 42, 41},        {100000, .33, 0, true, 46, 45},
    {1000000, .33, 0, true, 50, 49},      {10, 0, .33, false, 4, 2},
    {100, 0, .33, false, 26, 2},          {1000, 0, .33, false, 38, 2},
    {10000, 0, .33, false, 42, 2},        {100000, 0, .33, false, 46, 2},
    {1000000, 0, .33, false, 50, 2},      {10, 0, .33, true, 8, 5},
    {100, 0, .33, true, 68, 35},          {1000, 0, .33, true, 228, 115},
    {10000, 0, .33, true, 326, 164},      {100000, 0, .33, true, 372, 187},
    {1000000, 0, .33, true, 410, 206},    {10, 0, 0, false, 2, 2},
    {1000000, 0, 0, false, 2, 2},         {10, 0, 0, true, 2, 2},
    {1000000, 0, 0, true, 2, 2},
};

static void degrees_and_thresholds_are_those_of_another_finder(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(figures); i++) {
        const struct figure *f = &figures[i];
        int degree = 0, threshold = 0;
        const struct cohort_rates rates = {f->adversarial, f->dropout, f->malicious};
        if (!cohort_find(f->members, rates, &degree, &threshold) || degree != f->degree || threshold > f->threshold ||
            threshold < 2)
            broken("%d members, %.2f, %.2f, %d: %d, %d, not %d, %d", f->members, f->adversarial, f->dropout,
                   f->malicious, degree, threshold, f->degree, f->threshold);
    }
}

static void what_cannot_be_has_no_graph(void **state)
{
    (void)state;
    static const struct figure impossible[] = {{0, .1, .1, false},    {-5, .1, .1, false},    {1000, .1, 1, false},
                                               {1000, .1, -1, false}, {1000, -.1, .1, true},  {1000, .5, .5, false},
                                               {1000, .5, .5, true},  {1000, .33, .33, true}, {10, .45, .45, false},
                                               {10, .3, .3, true}};
    int degree, threshold;
    for (size_t i = 0; i < COUNT(impossible); i++) {
        const struct figure *f = &impossible[i];
        assert_false(cohort_find(f->members, (struct cohort_rates){f->adversarial, f->dropout, f->malicious}, &degree,
                                 &threshold));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(degrees_and_thresholds_are_those_of_another_finder),
        cmocka_unit_test(what_cannot_be_has_no_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
