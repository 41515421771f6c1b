/* Where messages begin and end in both directions of a session, and whether it is at rest.
 *
 * The same as tenantpool/gateway/framing.py, for which see why things are as they are; a test
 * holds the two against each other. Nothing here does I/O or allocates.
 */
#ifndef TENANTPOOL_FRAMING_H
#define TENANTPOOL_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A header, and for ReadyForQuery nothing more: the longest that can be held back. */
#define FRAMING_MOST_HELD 5

/* One direction. What is held back is the beginning of a header: whoever feeds the next piece puts
 * it in front. */
struct stream {
    uint64_t skip; /* bytes to come of a message whose header was seen */
    uint8_t held[FRAMING_MOST_HELD];
    uint8_t held_size;
};

struct framing {
    struct stream requests;
    struct stream answers;
    int64_t asked;    /* messages that demand a ReadyForQuery ... */
    int64_t answered; /* ... and those that came */
    int64_t since_execute; /* Syncs right behind the last Execute; -1: something else is there */
    uint32_t invalid_length; /* the header that can't be one, after a refusal */
    uint8_t invalid_kind;
    uint8_t status; /* of the last ReadyForQuery */
    bool unsynced;
    bool in_copy;
    bool lost_track;
    bool terminated; /* whether the client has said Terminate */
};

void framing_init(struct framing *framing);

/* Follow what the client sends: *data* is what was held, and the next piece. Set how many bytes of
 * it are to be forwarded: none from Terminate on. False if it can't be a message. */
bool framing_requests(struct framing *framing, const uint8_t *data, size_t size, size_t *forward);

/* The same for what the backend sends, which may be anything. */
size_t framing_answers(struct framing *framing, const uint8_t *data, size_t size);

/* Whether nothing is under way in either direction, and no transaction open. */
bool framing_is_clean(const struct framing *framing);

/* Whether the client got whole messages, so that one of ours can follow. */
bool framing_answers_whole(const struct framing *framing);

#endif
