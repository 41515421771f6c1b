/* Places for links: which are taken, which are free, and which links have ended.
 *
 * Whoever calls holds the engine's lock.
 */
#ifndef TENANTPOOL_TABLE_H
#define TENANTPOOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "framing.h"

enum side { CLIENT, BACKEND };

/* One end of a link. */
struct end {
    int fd;
    uint32_t watched; /* the events that epoll was told to report; 0: it does not have it */
    uint8_t *waiting; /* what the peer here has not taken yet, or NULL, as nearly always */
    size_t waiting_from;
    size_t waiting_size;
};

enum state {
    VACANT,
    LINKED,
    ENDED,    /* by itself, and is in the list of those */
    REPORTED, /* it was taken off that list, to be parted */
    RESIGNED  /* it was parted while in that list, and is vacant once it comes off */
};

/* A client and a backend. Kept small, as most of them are idle most of the time. */
struct link {
    struct end ends[2];
    struct framing framing;
    uint32_t generation; /* how often its place was used */
    uint32_t next;       /* in the list of the vacant, or of those that have ended */
    enum state state;
    bool touched;  /* the client has sent something */
    bool deaf;     /* the backend takes nothing any more, but may have something to say */
    bool broken;   /* it ended in no orderly way */
    bool violated; /* the client sent what can't be a message */
};

struct table {
    struct link *links; /* they may move when one is added: keep keys, not addresses */
    uint32_t capacity;
    uint32_t vacant;
    uint32_t first_ended;
    uint32_t last_ended;
    int ended_fd; /* readable while a link has ended and was not taken off the list */
};

/* Make an empty one, which is to be closed also if this fails. Return 0, or an errno. */
int table_open(struct table *table);

/* Forget all links; their sockets are closed already. */
void table_close(struct table *table);

/* The side is the lowest bit: a link's key is that of its client's end. */
link_key table_key(const struct table *table, const struct link *link, enum side side);

/* The link, or NULL: events that were fetched before a link was parted are reported after it. */
struct link *table_find(const struct table *table, link_key key);

/* Take a vacant place for these sockets, which are its own now. Return 0, or ENOMEM. */
int table_occupy(struct table *table, int client, int backend, struct link **occupied);

/* Its place may be taken again. */
void table_vacate(struct table *table, struct link *link);

/* Whether there is a link here, with sockets of its own. */
bool table_is_linked(const struct link *link);

/* It has ended by itself: put it on the list of those. */
void table_end(struct table *table, struct link *link);

/* Take the next one off that list; NULL if there is none. */
struct link *table_take_ended(struct table *table);

#endif
