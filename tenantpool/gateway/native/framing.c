#include "framing.h"

#include <string.h>

enum { HEADER_SIZE = 5 };

/* The most that PostgreSQL can allocate, and so receive, at once: 1 GiB. */
static const uint32_t LONGEST = 0x3FFFFFFF;

static const uint8_t IDLE = 'I';

static uint32_t length_at(const uint8_t *header)
{
    return (uint32_t)header[1] << 24 | (uint32_t)header[2] << 16 | (uint32_t)header[3] << 8
           | (uint32_t)header[4];
}

void framing_init(struct framing *framing)
{
    memset(framing, 0, sizeof *framing);
    framing->status = IDLE;
    framing->since_execute = -1;
}

bool framing_answers_whole(const struct framing *framing)
{
    return framing->answers.skip == 0 && framing->answers.held_size == 0;
}

bool framing_is_clean(const struct framing *framing)
{
    return framing->asked == framing->answered && framing->status == IDLE
           && framing->requests.skip == 0 && framing->requests.held_size == 0
           && !framing->unsynced && !framing->in_copy && !framing->lost_track
           && framing_answers_whole(framing);
}

/* End a piece of *size* bytes, of which all before *position* is known. Return how many of them are
 * to be forwarded. */
static size_t suspend(struct stream *stream, const uint8_t *data, uint64_t position, size_t size)
{
    if (position >= size) {
        stream->skip = position - size;
        stream->held_size = 0;
        return size;
    }
    stream->skip = 0;
    stream->held_size = (uint8_t)(size - position);
    memcpy(stream->held, data + position, stream->held_size);
    return (size_t)position;
}

/* -- what the client asks ---------------------------------------------------------------------- */

static bool is_known(uint8_t kind)
{
    switch (kind) {
    case 'B': case 'C': case 'D': case 'E': case 'F': case 'H': case 'P': case 'Q': case 'S':
    case 'X': case 'c': case 'd': case 'f':
        return true;
    default:
        return false;
    }
}

/* While it takes data the backend ignores Sync, and what is not named here is an error. */
static void request_in_copy(struct framing *framing, uint8_t kind)
{
    switch (kind) {
    case 'c': case 'f':
        framing->in_copy = false;
        break;
    case 'd': case 'H': case 'S':
        break;
    default:
        framing->lost_track = true;
    }
}

static void request(struct framing *framing, uint8_t kind)
{
    switch (kind) {
    case 'Q': case 'F':
        framing->asked++;
        framing->since_execute = -1;
        break;
    case 'S':
        framing->asked++;
        framing->unsynced = false;
        if (framing->since_execute >= 0)
            framing->since_execute++;
        break;
    case 'E':
        framing->unsynced = true;
        framing->since_execute = 0;
        break;
    case 'P': case 'B': case 'D': case 'C':
        framing->unsynced = true;
        framing->since_execute = -1;
        break;
    default:
        break;
    }
}

bool framing_requests(struct framing *framing, const uint8_t *data, size_t size, size_t *forward)
{
    uint64_t position = framing->requests.skip;

    while (position + HEADER_SIZE <= size) {
        const uint8_t kind = data[position];
        const uint32_t length = length_at(data + position);

        if (!is_known(kind) || length < 4 || length > LONGEST) {
            framing->invalid_kind = kind;
            framing->invalid_length = length;
            return false;
        }
        if (kind == 'X') {
            framing->terminated = true;
            *forward = suspend(&framing->requests, data, position, (size_t)position);
            return true;
        }
        if (framing->in_copy)
            request_in_copy(framing, kind);
        else
            request(framing, kind);
        position += (uint64_t)length + 1;
    }
    *forward = suspend(&framing->requests, data, position, size);
    return true;
}

/* -- what the backend answers ------------------------------------------------------------------ */

/* The backend takes data from here on.
 *
 * libpq sends a Sync behind the Execute, which the backend reads as part of the data and ignores,
 * and another one at the end: only the latter is answered. */
static void begin_copy(struct framing *framing)
{
    const int64_t ignored = framing->since_execute;

    framing->in_copy = true;
    if (framing->asked - framing->answered != (ignored < 0 ? 1 : ignored))
        framing->lost_track = true; /* who knows which of its pipelined statements this is */
    if (ignored >= 0) {
        framing->asked -= ignored;
        framing->unsynced = true;
        framing->since_execute = -1;
    }
}

static void ready(struct framing *framing, uint8_t status)
{
    framing->answered++;
    framing->status = status;
    framing->in_copy = false;
    if (framing->answered > framing->asked)
        framing->lost_track = true;
}

size_t framing_answers(struct framing *framing, const uint8_t *data, size_t size)
{
    uint64_t position = framing->answers.skip;

    while (position + HEADER_SIZE <= size) {
        const uint8_t *header = data + position;

        if (*header == 'Z') {
            if (position + HEADER_SIZE == size)
                break; /* its status is still to come */
            ready(framing, header[HEADER_SIZE]);
        } else if (*header == 'G') {
            begin_copy(framing);
        } else if (*header == 'W') {
            framing->lost_track = true;
        } else if (*header == 'E') {
            framing->in_copy = false;
        }
        position += (uint64_t)length_at(header) + 1;
    }
    return suspend(&framing->answers, data, position, size);
}
