#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FIRST_LINKS = 64 };

static const uint32_t NOWHERE = UINT32_MAX;

int table_open(struct table *table)
{
    *table = (struct table){
        .vacant = NOWHERE,
        .first_ended = NOWHERE,
        .last_ended = NOWHERE,
        .ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
    };
    return table->ended_fd < 0 ? errno : 0;
}

void table_close(struct table *table)
{
    free(table->links);
    if (table->ended_fd >= 0)
        (void)close(table->ended_fd);
}

static uint32_t index_of(const struct table *table, const struct link *link)
{
    return (uint32_t)(link - table->links);
}

link_key table_key(const struct table *table, const struct link *link, enum side side)
{
    return (uint64_t)link->generation << 32 | (uint64_t)index_of(table, link) << 1
           | (uint64_t)side;
}

bool table_is_linked(const struct link *link)
{
    return link->state != VACANT && link->state != RESIGNED;
}

struct link *table_find(const struct table *table, link_key key)
{
    const uint32_t index = (uint32_t)key >> 1;
    struct link *link = index < table->capacity ? &table->links[index] : NULL;

    if (link == NULL || link->generation != (uint32_t)(key >> 32))
        return NULL;
    return table_is_linked(link) ? link : NULL;
}

/* Make room for more links. */
static int grow(struct table *table)
{
    const uint32_t before = table->capacity;
    const uint32_t after = before == 0 ? FIRST_LINKS : 2 * before;
    struct link *links;

    if (after > UINT32_MAX / 4)
        return ENOMEM;
    links = realloc(table->links, after * sizeof *links);
    if (links == NULL)
        return ENOMEM;
    memset(links + before, 0, (after - before) * sizeof *links);
    table->links = links;
    table->capacity = after;
    for (uint32_t i = after; i-- > before;) {
        links[i].next = table->vacant;
        table->vacant = i;
    }
    return 0;
}

int table_occupy(struct table *table, int client, int backend, struct link **occupied)
{
    const int error = table->vacant == NOWHERE ? grow(table) : 0;
    struct link *link;
    uint32_t generation;

    if (error != 0)
        return error;
    link = &table->links[table->vacant];
    generation = link->generation;
    table->vacant = link->next;
    memset(link, 0, sizeof *link);
    link->generation = generation;
    link->state = LINKED;
    link->ends[CLIENT].fd = client;
    link->ends[BACKEND].fd = backend;
    framing_init(&link->framing);
    *occupied = link;
    return 0;
}

void table_vacate(struct table *table, struct link *link)
{
    link->state = VACANT;
    link->generation++;
    link->next = table->vacant;
    table->vacant = index_of(table, link);
}

void table_end(struct table *table, struct link *link)
{
    const uint32_t index = index_of(table, link);

    link->state = ENDED;
    link->next = NOWHERE;
    if (table->first_ended == NOWHERE) {
        table->first_ended = index;
        (void)eventfd_write(table->ended_fd, 1); /* it can't be full: rung once until it is read */
    } else {
        table->links[table->last_ended].next = index;
    }
    table->last_ended = index;
}

struct link *table_take_ended(struct table *table)
{
    struct link *link;
    eventfd_t count;

    if (table->first_ended == NOWHERE)
        return NULL;
    link = &table->links[table->first_ended];
    table->first_ended = link->next;
    if (table->first_ended == NOWHERE)
        (void)eventfd_read(table->ended_fd, &count);
    if (link->state == ENDED)
        link->state = REPORTED;
    return link;
}
