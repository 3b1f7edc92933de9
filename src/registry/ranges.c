#include "registry/ranges.h"

#include <errno.h>
#include <string.h>

static void lane_free(struct registry *registry, struct lane *lane)
{
        transfer_release(registry, &lane->transfer);
        lane->head = NULL;
        lane->held = 0;
        lane->direct = false;
        lane->transfer.state = TRANSFER_ENDED;
}

/* Let the head go on by itself, from where it is now. */
static void resume_head(struct transfer *head)
{
        head->state = TRANSFER_WAITING;
        head->due = 0;
}

/* ---- a lane's sink ---- */

static int lane_begin(struct registry_blob *sink, uint64_t *ret_offset, struct error *err)
{
        const struct lane *lane = sink->context;

        (void)err;
        *ret_offset = lane->have;
        return 0;
}

/* Give bytes to the blob itself. */
static int feed_head(struct transfer *head, const void *data, size_t size, struct error *err)
{
        if (head->sink->data(head->sink, data, size, err) < 0) {
                head->sink_failed = true;
                return -1;
        }
        head->have += size;
        return 0;
}

static int lane_data(struct registry_blob *sink, const void *data, size_t size, struct error *err)
{
        struct lane *lane = sink->context;

        if (size > lane->end - lane->have)
                return error_set(err, EPROTO, "more than the range that was asked for");
        if (lane->direct) {
                if (feed_head(lane->head, data, size, err) < 0)
                        return -1;
        } else {
                memcpy(lane->ahead + lane->held, data, size);
                lane->held += size;
        }
        lane->have += size;
        return 0;
}

static int lane_end(struct registry_blob *sink, const struct error *failure, struct error *err)
{
        struct lane *lane = sink->context;

        (void)err;
        if (!failure && lane->direct)
                resume_head(lane->head);
        return 0;
}

/* ---- heads ---- */

/* The lane of the head that begins first at or behind a position; NULL when there is none. */
static struct lane *next_lane(struct ranges *ranges, const struct transfer *head, uint64_t from)
{
        struct lane *found = NULL;

        for (size_t i = 0; i < RANGES_LANES; i++) {
                struct lane *lane = &ranges->lanes[i];

                if (lane->head == head && lane->start >= from &&
                    (!found || lane->start < found->start))
                        found = lane;
        }
        return found;
}

static bool may_have_lanes(const struct transfer *head)
{
        return head->size != TRANSFER_SIZE_UNKNOWN && head->size >= RANGES_BLOB_SIZE &&
               !head->whole;
}

int ranges_prepare(struct ranges *ranges, struct transfer *head, bool spare, struct error *err)
{
        struct lane *lane;

        if (!may_have_lanes(head))
                return 0;
        while ((lane = next_lane(ranges, head, head->have)) && lane->start == head->have) {
                size_t held = lane->held;

                lane->held = 0;
                if (held > 0 && feed_head(head, lane->ahead, held, err) < 0)
                        return -1;
                if (lane->transfer.state != TRANSFER_ENDED) {
                        lane->direct = true;
                        head->state = TRANSFER_FOLLOWS;
                        return 0;
                }
                lane_free(ranges->registry, lane);
        }
        head->chunk = spare && !head->lone ? RANGES_CHUNK : RANGES_CHUNK_LONE;
        if (lane && lane->start - head->have < head->chunk)
                head->chunk = lane->start - head->have;
        return 0;
}

/* ---- opening and closing ---- */

/* Where the next lane of a head would begin; its size when there is none to open. */
static uint64_t unclaimed(const struct ranges *ranges, const struct transfer *head)
{
        uint64_t end = head->state == TRANSFER_ACTIVE ? head->request.end : head->have;

        if (!may_have_lanes(head) || head->lone || !head->ranged || end == 0 ||
            (head->state != TRANSFER_ACTIVE && head->state != TRANSFER_FOLLOWS))
                return head->size;
        for (size_t i = 0; i < RANGES_LANES; i++)
                if (ranges->lanes[i].head == head && ranges->lanes[i].end > end)
                        end = ranges->lanes[i].end;
        return end;
}

static struct lane *free_lane(struct ranges *ranges)
{
        for (size_t i = 0; i < RANGES_LANES; i++)
                if (!ranges->lanes[i].head)
                        return &ranges->lanes[i];
        return NULL;
}

static int open_lane(struct lane *lane, struct transfer *head, uint64_t start, struct error *err)
{
        if (!lane->ahead)
                lane->ahead = malloc(RANGES_CHUNK);
        if (!lane->ahead)
                return error_no_memory(err);
        lane->head = head;
        lane->start = lane->have = start;
        lane->end = head->size - start < RANGES_CHUNK ? head->size : start + RANGES_CHUNK;
        lane->sink = (struct registry_blob){
                .context = lane, .begin = lane_begin, .data = lane_data, .end = lane_end
        };
        lane->transfer = (struct transfer){
                .path = head->path,
                .endpoint = head->endpoint,
                .size = lane->end,
                .sink = &lane->sink,
                .is_part = true,
                /* Where the head was sent: the registry need not be asked for each range. */
                .current = head->current ? strdup(head->current) : NULL,
                .etag = head->etag ? strdup(head->etag) : NULL,
        };
        if ((head->current && !lane->transfer.current) || (head->etag && !lane->transfer.etag))
                return error_no_memory(err);
        return 1;
}

int ranges_open(struct ranges *ranges, struct transfer *transfers, size_t count, struct error *err)
{
        struct lane *lane = free_lane(ranges);

        for (size_t i = 0; lane && i < count; i++) {
                uint64_t start = unclaimed(ranges, &transfers[i]);

                if (start < transfers[i].size)
                        return open_lane(lane, &transfers[i], start, err);
        }
        return 0;
}

int ranges_drop(struct ranges *ranges, struct lane *lane, struct error *err)
{
        struct transfer *head = lane->head;

        if (head->sink_failed || err->code == ENOMEM || err->code == EINTR)
                return -1;
        head->lone = true;
        if (lane->direct)
                resume_head(head);
        lane_free(ranges->registry, lane);
        *err = (struct error)ERROR_INIT;
        return 0;
}

void ranges_tidy(struct ranges *ranges)
{
        for (size_t i = 0; i < RANGES_LANES; i++) {
                struct lane *lane = &ranges->lanes[i];

                if (!lane->head)
                        continue;
                if (lane->direct
                            ? lane->transfer.state == TRANSFER_ENDED
                            : lane->head->have > lane->start || lane->head->state == TRANSFER_ENDED)
                        lane_free(ranges->registry, lane);
        }
}

void ranges_release(struct ranges *ranges)
{
        for (size_t i = 0; i < RANGES_LANES; i++) {
                lane_free(ranges->registry, &ranges->lanes[i]);
                free(ranges->lanes[i].ahead);
        }
}
