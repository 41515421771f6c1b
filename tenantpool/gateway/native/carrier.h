/* Carries bytes between the two ends of links, and has epoll say where there are some.
 *
 * Whoever calls holds the engine's lock.
 */
#ifndef TENANTPOOL_CARRIER_H
#define TENANTPOOL_CARRIER_H

#include <stddef.h>
#include <stdint.h>

#include "framing.h"
#include "table.h"

enum { PIECE = 65536 }; /* bytes that are read at once, and the most that waits in each direction */

struct carrier {
    struct table table;
    int epoll;
    /* What is read now; only what the other side does not take at once is copied. */
    uint8_t piece[FRAMING_MOST_HELD + PIECE];
};

/* Make one without links, which is to be closed also if this fails. Return 0, or an errno. */
int carrier_open(struct carrier *carrier);

/* Let go of all links. */
void carrier_close(struct carrier *carrier);

/* A new link: the client gets *greeting* first; *ahead* is what it has sent. */
void carrier_begin(struct carrier *carrier, struct link *link, struct bytes greeting,
                   struct bytes ahead);

/* Do what epoll's *events* at the end with this *key* ask for. */
void carrier_go_on(struct carrier *carrier, link_key key, uint32_t events);

/* Let go of a link's sockets. Others have them, too: epoll would go on with them if it were not
 * told. */
void carrier_let_go(struct carrier *carrier, struct link *link);

#endif
