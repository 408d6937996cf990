/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "robust/suspicion.h"
#include "robust/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FAR 1.6     /* distances of honest means differ less: they are sums over many numbers */
#define LARGE 2.5   /* of the median norm */
#define BEHIND 0.65 /* of the median way along: within a bound, that is what one against the others takes off a mean */
#define AGREED 0.3  /* the median cosine below which there is no way that all go */
#define NU 1e-6
#define STEPS 8

static void *array(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

static int by_size(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static double median(const double *values, size_t count)
{
    double *sorted = array(count, sizeof *sorted);
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_size);
    double out = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    free(sorted);
    return out;
}

/* How far each goes along the point that has these weights; that point's norm is the unit. */
static void ways(const double *gram, size_t n, const double *weights, double *out)
{
    double square = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = 0;
        for (size_t j = 0; j < n; j++)
            out[i] += weights[j] * gram[i * n + j];
        square += weights[i] * out[i];
    }
    for (size_t i = 0; i < n && square > 0; i++)
        out[i] /= sqrt(square);
}

void groups_mark(const double *gram, size_t count, struct group_mark *out)
{
    double *weights = array(count, sizeof *weights), *distances = array(count, sizeof *distances);
    double *norms = array(count, sizeof *norms), *along = array(count, sizeof *along);
    double *cosines = array(count, sizeof *cosines);
    weigh_geometric_median(gram, count, NU, STEPS, weights);
    weigh_distances(gram, count, weights, distances);
    ways(gram, count, weights, along);
    for (size_t i = 0; i < count; i++) {
        norms[i] = gram[i * count + i] > 0 ? sqrt(gram[i * count + i]) : 0;
        cosines[i] = norms[i] > 0 ? along[i] / norms[i] : 0;
    }
    double usual = median(distances, count), large = median(norms, count) * LARGE;
    double way = median(cosines, count) > AGREED ? median(along, count) : 0;
    for (size_t i = 0; i < count; i++) {
        double distance = usual > 0 ? distances[i] / usual : distances[i] > 0 ? INFINITY : 1;
        out[i] = (struct group_mark){.norm = norms[i], .distance = distance, .along = way > 0 ? along[i] / way : 1};
        out[i].flagged = count >= GROUPS_LEAST && (out[i].distance > FAR || norms[i] > large || out[i].along < BEHIND);
    }
    free(weights);
    free(distances);
    free(norms);
    free(along);
    free(cosines);
}

void groups_gram(const double *gram, size_t n, const size_t *group_of, size_t groups, double *out)
{
    double *sizes = array(groups, sizeof *sizes);
    memset(out, 0, groups * groups * sizeof *out);
    for (size_t i = 0; i < n; i++)
        sizes[group_of[i]]++;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            out[group_of[i] * groups + group_of[j]] += gram[i * n + j];
    for (size_t i = 0; i < groups; i++)
        for (size_t j = 0; j < groups; j++)
            out[i * groups + j] /= sizes[i] * sizes[j];
    free(sizes);
}

double group_evidence(bool flagged, size_t size)
{
    double others = 1 - pow(1 - GROUP_PRIOR, (double)(size ? size - 1 : 0));
    double if_good = GROUP_FALSE_ALARM + (1 - GROUP_FALSE_ALARM) * others, if_bad = 1 - GROUP_MISS;
    return flagged ? log(if_bad / if_good) : log((1 - if_bad) / (1 - if_good));
}

double evidence_add(double score, double evidence, double threshold)
{
    double sum = score + evidence;
    return sum < -threshold / 2 ? -threshold / 2 : sum;
}
