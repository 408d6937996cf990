/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The graph around a revision: what it was made from, or what was made from it. A breadth-first walk over edges; of repos that
 * the actor may not see nothing is told, not even whether there are any. So a parent that only its digest names looks the
 * same whether it is in a private repo or nowhere here, and the walk does not go on behind it.
 *
 * The work is bounded by time and by what is shown, never by how much there is that may not be shown: that would tell of it.
 */
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "lineage/internal.h"

#define DEPTH_MOST 16
#define NODES_MOST 1000
#define LINKS_MOST 5000
#define MOST_US (2 * SECOND_US)

struct node {
    struct repo repo; /* id 0: none that the actor may see */
    bool has_commit;
    struct oid commit;
    struct str digest; /* dirHash1; absent: none is logged, or only a name is known */
    struct str name;   /* of a node that is neither repo nor digest */
    int64_t depth;
};

struct link {
    size_t child, parent;
    const struct lineage_edge *edge;
    const struct tensor_sharer *shared; /* of grade bytes; NULL for the others */
};

struct graph {
    struct request *rq;
    bool up; /* to ancestors */
    struct node *nodes;
    struct link *links;
    size_t node_count, node_room, link_count, link_room;
    int64_t until_us;
    int64_t shareable; /* bytes of the tensors of the revision that was asked about */
    bool complete;
};

/* Nodes. */

static bool is_same(const struct node *a, const struct node *b)
{
    if (a->repo.id != b->repo.id)
        return false;
    if (a->repo.id != 0)
        return a->has_commit == b->has_commit && (!a->has_commit || oid_eq(&a->commit, &b->commit));
    if (str_given(a->digest) || str_given(b->digest))
        return str_eq(a->digest, b->digest);
    return str_eq_nocase(a->name, b->name);
}

/* False when there is no room for another one. */
static bool node_place(struct graph *graph, const struct node *node, size_t *at)
{
    for (*at = 0; *at < graph->node_count; ++*at)
        if (is_same(&graph->nodes[*at], node))
            return true;
    if (graph->node_count == NODES_MOST)
        return false;
    graph->nodes =
        array_room(graph->rq->arena, graph->nodes, graph->node_count, &graph->node_room, sizeof *graph->nodes);
    graph->nodes[graph->node_count++] = *node;
    return true;
}

/* One edge from (or to) a node that is there already. */
static void link_add(struct graph *graph, size_t from, struct node *other, const struct lineage_edge *edge,
                     const struct tensor_sharer *shared)
{
    size_t at;
    other->depth = graph->nodes[from].depth + 1;
    if (graph->link_count == LINKS_MOST || !node_place(graph, other, &at)) {
        graph->complete = false;
        return;
    }
    graph->links =
        array_room(graph->rq->arena, graph->links, graph->link_count, &graph->link_room, sizeof *graph->links);
    graph->links[graph->link_count++] =
        graph->up ? (struct link){from, at, edge, shared} : (struct link){at, from, edge, shared};
}

/* Repos, as far as the actor may know of them. */

static enum status see_repo(struct graph *graph, int64_t repo_id, struct repo *out, bool *seen, struct error *err)
{
    struct request *rq = graph->rq;
    struct error no = {0};
    *seen = false;
    enum status status = repo_get(rq->db, rq->arena, repo_id, out, &no);
    if (status == OK) {
        struct access_object object = repo_access(out);
        status = access_decide(rq->db, &rq->actor, ACT_SEE, &object, &no);
    }
    *seen = status == OK;
    if (status == OK || status == NOT_FOUND || status == UNAUTHENTICATED || status == FORBIDDEN)
        return OK;
    return fail(err, status, no.code, "%s", no.message);
}

static enum status set_main(struct graph *graph, struct node *node, struct error *err)
{
    struct request *rq = graph->rq;
    struct revision main;
    enum status status = revision_resolve(rq->db, rq->arena, node->repo.id, STR("refs/heads/main"), &main, err);
    if (status != OK)
        return status == NOT_FOUND ? OK : status;
    node->has_commit = true;
    node->commit = main.commit;
    return record_dir_hash(rq->db, rq->arena, node->repo.id, &node->commit, &node->digest, err);
}

static const char holders_sql[] = "SELECT repo_id, commit_oid FROM manifest_digest WHERE dir_hash = ? ORDER BY id";
static const char holder_sql[] =
    "SELECT repo_id, commit_oid FROM manifest_digest WHERE dir_hash = ? AND repo_id = ? ORDER BY id";

/* The first that the actor may see of the revisions that hold this, in one repo or in any (0). */
static enum status find_holder(struct graph *graph, struct str digest, int64_t repo_id, struct node *out,
                               struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    bool seen = false;
    TRY(db_prepare(graph->rq->db, repo_id ? holder_sql : holders_sql, &row, err));
    stmt_bind_str(row, 1, digest);
    if (repo_id)
        stmt_bind_int(row, 2, repo_id);
    while (!seen && monotonic_us() < graph->until_us && stmt_next(row)) {
        TRY(see_repo(graph, stmt_int(row, 0), &out->repo, &seen, err));
        out->has_commit = true;
        memcpy(out->commit.bytes, stmt_str(row, 1).data, SHA1_SIZE);
    }
    if (!seen)
        *out = (struct node){.digest = digest};
    return stmt_end(row, err);
}

static enum status find_named(struct graph *graph, struct str name, struct node *out, struct error *err)
{
    struct request *rq = graph->rq;
    struct error no = {0};
    struct str rest = name, ns;
    bool moved, seen;
    *out = (struct node){.name = name};
    str_cut(&rest, '/', &ns);
    if (!str_given(rest) || repo_find(rq->db, rq->arena, KIND_MODEL, ns, rest, &out->repo, &moved, &no) != OK) {
        out->repo = (struct repo){0};
        return OK;
    }
    TRY(see_repo(graph, out->repo.id, &out->repo, &seen, err));
    if (seen)
        return set_main(graph, out, err);
    out->repo = (struct repo){0};
    return OK;
}

/* Who stands at the parent's end. */
static enum status find_parent(struct graph *graph, const struct lineage_edge *edge, struct node *out,
                               struct error *err)
{
    bool seen = false;
    *out = (struct node){.digest = edge->parent};
    if (edge->parent_id)
        TRY(see_repo(graph, edge->parent_id, &out->repo, &seen, err));
    if (str_given(edge->parent))
        return find_holder(graph, edge->parent, seen ? edge->parent_id : 0, out, err);
    if (seen)
        return set_main(graph, out, err);
    return find_named(graph, edge->name, out, err);
}

/* Steps. */

static enum status step_up(struct graph *graph, size_t from, struct error *err)
{
    struct lineage_edge *edges;
    size_t count;
    const struct node *child = &graph->nodes[from];
    if (!child->has_commit)
        return OK;
    TRY(lineage_parents(graph->rq->db, graph->rq->arena, child->repo.id, &child->commit, &edges, &count, err));
    for (size_t i = 0; i < count && graph->complete; i++) {
        struct node parent;
        graph->complete = monotonic_us() < graph->until_us;
        TRY(find_parent(graph, &edges[i], &parent, err));
        link_add(graph, from, &parent, &edges[i], NULL);
    }
    return OK;
}

/*
 * Edges to any revision of a repo: named as the card's parent, by a name, or by a digest that it had. Of what cards declare only
 * what they say now. The last two parameters leave only edges to one digest.
 */
static const char children_sql[] =
    "SELECT " EDGE_COLUMNS "WHERE (e.parent_id = ? OR (e.parent_key = ? AND e.parent_id IS NULL) OR e.parent_hash IN "
    "(SELECT m.dir_hash FROM manifest_digest m WHERE m.repo_id = ?)) AND (e.grade <> '" GRADE_DECLARED
    "' OR EXISTS (SELECT 1 FROM ref r WHERE r.repo_id = e.child_id AND r.name = 'refs/heads/main' AND "
    "r.commit_oid = e.commit_oid)) AND (? = '' OR e.parent_hash = ?) ORDER BY e.id";

static enum status add_child(struct graph *graph, size_t from, const struct lineage_edge *edge, struct error *err)
{
    struct request *rq = graph->rq;
    struct node child = {.has_commit = true, .commit = edge->commit};
    bool seen;
    TRY(see_repo(graph, edge->child_id, &child.repo, &seen, err));
    if (!seen)
        return OK;
    TRY(record_dir_hash(rq->db, rq->arena, child.repo.id, &child.commit, &child.digest, err));
    struct lineage_edge *kept = arena_alloc(rq->arena, sizeof *kept);
    *kept = *edge;
    link_add(graph, from, &child, kept, NULL);
    return OK;
}

/* A repo that the walk has come to by another revision has been asked for its children already. */
static bool was_asked(const struct graph *graph, size_t node)
{
    for (size_t i = 0; i < node; i++)
        if (graph->nodes[i].repo.id == graph->nodes[node].repo.id && (i > 0 || !graph->nodes[0].has_commit))
            return true;
    return false;
}

static enum status step_down(struct graph *graph, size_t from, struct error *err)
{
    struct request *rq = graph->rq;
    const struct node parent = graph->nodes[from];
    struct str only = from == 0 && parent.has_commit ? parent.digest : STR("");
    auto_stmt struct stmt *row = NULL;
    if (was_asked(graph, from))
        return OK;
    TRY(db_prepare(rq->db, children_sql, &row, err));
    stmt_bind_int(row, 1, parent.repo.id);
    stmt_bind_str(row, 2, str_lower(rq->arena, parent.repo.full_name));
    stmt_bind_int(row, 3, parent.repo.id);
    stmt_bind_str(row, 4, only);
    stmt_bind_str(row, 5, only);
    while (graph->complete && stmt_next(row)) {
        struct lineage_edge edge;
        graph->complete = monotonic_us() < graph->until_us;
        read_edge(row, rq->arena, &edge);
        TRY(add_child(graph, from, &edge, err));
    }
    return stmt_end(row, err);
}

static enum status walk(struct graph *graph, int64_t depth, struct error *err)
{
    for (size_t i = 0; i < graph->node_count && graph->complete; i++)
        if (graph->nodes[i].repo.id && graph->nodes[i].depth < depth)
            TRY(graph->up ? step_up(graph, i, err) : step_down(graph, i, err));
    return OK;
}

/* The same tensors. */

/* Bytes have no direction: who had them earlier by the log is taken for the ancestor, and who has no leaf yet for the later one. */
static bool is_wanted(const struct graph *graph, const struct tensor_sharing *sharing, int64_t first)
{
    if (first < 0 || sharing->first < 0)
        return graph->up ? first >= 0 : first < 0;
    return graph->up ? first < sharing->first : first > sharing->first;
}

/* Only of the revision that was asked about, when it is asked for: it costs far more than the rest. */
static enum status add_shared(struct graph *graph, struct error *err)
{
    static const struct lineage_edge bytes = {
        .grade = {GRADE_BYTES, sizeof GRADE_BYTES - 1}, .weight = -1, .index = -1};
    struct request *rq = graph->rq;
    struct access_object object = repo_access(&rq->repo);
    struct tensor_sharing sharing;
    struct node root = graph->nodes[0];
    if (!request_query_true(rq, "bytes"))
        return OK;
    TRY(access_decide(rq->db, &rq->actor, ACT_READ, &object, err));
    if (!root.has_commit)
        TRY(set_main(graph, &root, err));
    if (!root.has_commit)
        return OK;
    TRY(tensors_shared(rq, &root.commit, &sharing, err));
    graph->shareable = sharing.bytes;
    for (size_t i = 0; i < sharing.count; i++) {
        struct node other = {.repo = sharing.items[i].repo};
        if (is_wanted(graph, &sharing, sharing.items[i].first))
            link_add(graph, 0, &other, &bytes, &sharing.items[i]);
    }
    graph->complete = graph->complete && sharing.complete;
    return OK;
}

/* The answer. */

static void write_node(struct graph *graph, struct json_writer *w, size_t at)
{
    const struct node *node = &graph->nodes[at];
    jw_object(w);
    jw_key_int(w, "id", (int64_t)at);
    if (node->repo.id) {
        jw_key_str(w, "repo", node->repo.full_name);
        jw_key_str(w, "type", repo_kind_name(node->repo.kind));
        if (node->has_commit)
            jw_key_str(w, "revision", oid_hex(graph->rq->arena, &node->commit));
    } else if (!str_given(node->digest)) {
        jw_key_str(w, "name", node->name);
    } else {
        jw_key_bool(w, "hidden", true);
    }
    if (str_given(node->digest))
        jw_key_str(w, "dirHash1", node->digest);
    jw_end(w);
}

static void write_link(struct graph *graph, struct json_writer *w, const struct link *link)
{
    const struct lineage_edge *edge = link->edge;
    jw_object(w);
    jw_key_int(w, "child", (int64_t)link->child);
    jw_key_int(w, "parent", (int64_t)link->parent);
    jw_key_str(w, "grade", edge->grade);
    if (str_given(edge->rel))
        jw_key_str(w, "rel", edge->rel);
    if (edge->weight >= 0)
        jw_key_int(w, "weight", edge->weight);
    if (str_given(edge->name))
        jw_key_str(w, "name", edge->name);
    if (edge->index >= 0)
        jw_key_int(w, "index", edge->index);
    if (str_given(edge->evidence))
        jw_key_str(w, "evidence", edge->evidence);
    if (link->shared) {
        jw_key_int(w, "tensors", link->shared->tensors);
        jw_key_int(w, "bytes", link->shared->bytes);
        jw_key(w, "share");
        jw_raw(w, arena_printf(graph->rq->arena, "%.6f", (double)link->shared->bytes / (double)graph->shareable));
    }
    jw_end(w);
}

static void reply_graph(struct graph *graph)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "direction", graph->up ? STR("ancestors") : STR("descendants"));
    jw_key_bool(&w, "complete", graph->complete);
    jw_key(&w, "nodes");
    jw_array(&w);
    for (size_t i = 0; i < graph->node_count; i++)
        write_node(graph, &w, i);
    jw_end(&w);
    jw_key(&w, "edges");
    jw_array(&w);
    for (size_t i = 0; i < graph->link_count; i++)
        write_link(graph, &w, &graph->links[i]);
    jw_end(&w);
    jw_end(&w);
    request_reply_json(graph->rq, &body);
}

/* The question. */

static enum status read_direction(struct request *rq, bool *up, struct error *err)
{
    struct str direction = request_query(rq, "direction", 0);
    *up = !str_given(direction) || str_eq(direction, STR("ancestors"));
    return *up || str_eq(direction, STR("descendants"))
               ? OK
               : fail(err, INVALID, NULL, "\"direction\" is ancestors (what it was made from) or descendants.");
}

static enum status read_depth(struct request *rq, int64_t *depth, struct error *err)
{
    struct str text = request_query(rq, "depth", 0);
    *depth = DEPTH_MOST;
    if (!str_given(text) || (str_to_i64(text, depth) && *depth >= 1 && *depth <= DEPTH_MOST))
        return OK;
    return fail(err, INVALID, NULL, "\"depth\" is how many edges to follow: 1 to %d.", DEPTH_MOST);
}

/* Upwards from one revision; downwards from all of them, unless one is named. */
static enum status set_root(struct graph *graph, struct error *err)
{
    struct request *rq = graph->rq;
    struct str name = request_query(rq, "revision", 0);
    struct node root = {.repo = rq->repo};
    struct revision revision;
    size_t at;
    if (graph->up || str_given(name)) {
        TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, str_given(name) ? name : STR("main"), &revision, err));
        root.has_commit = true;
        root.commit = revision.commit;
        TRY(record_dir_hash(rq->db, rq->arena, rq->repo.id, &root.commit, &root.digest, err));
    }
    if (!graph->up && root.has_commit && !str_given(root.digest))
        return fail(
            err, NOT_FOUND, NULL,
            "This revision's manifest is not logged yet, so nothing can name it as its parent. Try again in a moment.");
    node_place(graph, &root, &at);
    return OK;
}

/* GET /api/{api}/lineage?revision=…&direction=ancestors|descendants&depth=…&bytes=true */
enum status lineage_get(struct request *rq, struct error *err)
{
    struct graph graph = {.rq = rq, .until_us = monotonic_us() + MOST_US, .complete = true};
    int64_t depth;
    TRY(read_direction(rq, &graph.up, err));
    TRY(read_depth(rq, &depth, err));
    TRY(set_root(&graph, err));
    TRY(walk(&graph, depth, err));
    TRY(add_shared(&graph, err));
    reply_graph(&graph);
    return OK;
}
