/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * A straight line through points that stay here, in plain C:
 *
 *     cc -Iinclude examples/federated/line.c -Lbuild -lcairn -o line
 *     LD_LIBRARY_PATH=build ./line REPO X,Y X,Y …
 *
 * REPO's model.safetensors has one tensor "line" of two numbers, slope and height. CAIRN_URL and CAIRN_TOKEN say where the hub is and
 * who takes part.
 */
#include <cairn/federate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct points {
    char **from; /* "X,Y" */
    int count;
};

/* A few hundred steps down the slope of the squared error. */
static int train(void *context, const char *config, struct cairn_trained *model)
{
    const struct points *points = context;
    (void)config;
    if (model->count != 1 || strcmp(model->tensors[0].name, "line") != 0 || model->tensors[0].count != 2) {
        fputs("This repo's model is no line.\n", stderr);
        return 1;
    }
    float *line = model->tensors[0].values;
    for (int step = 0; step < 300; step++) {
        float slope = 0, height = 0;
        for (int i = 0; i < points->count; i++) {
            float x = 0, y = 0;
            sscanf(points->from[i], "%f,%f", &x, &y);
            float wrong = line[0] * x + line[1] - y;
            slope += wrong * x / (float)points->count;
            height += wrong / (float)points->count;
        }
        line[0] -= 0.05f * slope;
        line[1] -= 0.05f * height;
    }
    model->examples = points->count;
    return 0;
}

static void show(void *context, const char *line)
{
    (void)context;
    puts(line);
}

int main(int argc, char **argv)
{
    struct points points = {argv + 2, argc - 2};
    if (argc < 3) {
        fputs("usage: line REPO X,Y ...\n", stderr);
        return 2;
    }
    struct cairn_federate *part = cairn_federate_new();
    cairn_federate_set(part, "url", getenv("CAIRN_URL"));
    cairn_federate_set(part, "token", getenv("CAIRN_TOKEN"));
    cairn_federate_set(part, "repo", argv[1]);
    cairn_federate_on_progress(part, show, NULL);
    int verdict = cairn_federate_run(part, train, &points);
    if (verdict != CAIRN_TRAINED)
        fprintf(stderr, "line: %s\n", cairn_federate_why(part));
    cairn_federate_free(part);
    return verdict;
}
