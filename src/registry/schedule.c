/* Which transfers are under way: in the order given, within ENROOT_MAX_CONNECTIONS. */
#include <errno.h>

#include "registry/ranges.h"
#include "util/cancel.h"
#include "util/clock.h"

/* The longest that a request to stop can go unnoticed, in milliseconds. */
#define TICK_MS 100

struct schedule {
        struct registry *registry;
        struct transfer *transfers;
        size_t count;
        struct ranges ranges;
};

static size_t count_state(const struct schedule *schedule, enum transfer_state state)
{
        size_t found = 0;

        for (size_t i = 0; i < schedule->count; i++)
                found += schedule->transfers[i].state == state;
        return found;
}

/* Connections in use. */
static size_t count_active(const struct schedule *schedule)
{
        size_t active = count_state(schedule, TRANSFER_ACTIVE);

        for (size_t i = 0; i < RANGES_LANES; i++) {
                const struct lane *lane = &schedule->ranges.lanes[i];

                active += lane->head && lane->transfer.state == TRANSFER_ACTIVE;
        }
        return active;
}

static bool is_due(const struct transfer *transfer)
{
        return transfer->state == TRANSFER_WAITING && transfer->due <= clock_ms();
}

static int step_lane(struct schedule *schedule, struct lane *lane, struct error *err)
{
        if (transfer_step(schedule->registry, &lane->transfer, err) == 0)
                return 0;
        return ranges_drop(&schedule->ranges, lane, err);
}

/* Begin what is due as far as there are connections: the blobs, then lanes of large ones. */
static int begin_due(struct schedule *schedule, struct error *err)
{
        size_t limit = schedule->registry->http_options.max_connections;
        bool spare = limit > schedule->count - count_state(schedule, TRANSFER_ENDED);
        int rc = 0;

        for (size_t i = 0; i < schedule->count && count_active(schedule) < limit; i++) {
                struct transfer *transfer = &schedule->transfers[i];

                if (!is_due(transfer))
                        continue;
                if (ranges_prepare(&schedule->ranges, transfer, spare, err) < 0 ||
                    (transfer->state == TRANSFER_WAITING &&
                     transfer_step(schedule->registry, transfer, err) < 0))
                        return -1;
        }
        for (size_t i = 0; i < RANGES_LANES && count_active(schedule) < limit; i++) {
                struct lane *lane = &schedule->ranges.lanes[i];

                if (!lane->head && rc >= 0)
                        rc = ranges_open(&schedule->ranges, schedule->transfers, schedule->count,
                                         err);
                if (rc < 0 ||
                    (lane->head && is_due(&lane->transfer) && step_lane(schedule, lane, err) < 0))
                        return -1;
        }
        return 0;
}

static int step_finished(struct schedule *schedule, struct error *err)
{
        for (size_t i = 0; i < schedule->count; i++) {
                struct transfer *transfer = &schedule->transfers[i];

                if (transfer->state == TRANSFER_ACTIVE && transfer->request.finished &&
                    transfer_step(schedule->registry, transfer, err) < 0)
                        return -1;
        }
        for (size_t i = 0; i < RANGES_LANES; i++) {
                struct lane *lane = &schedule->ranges.lanes[i];

                if (lane->head && lane->transfer.state == TRANSFER_ACTIVE &&
                    lane->transfer.request.finished && step_lane(schedule, lane, err) < 0)
                        return -1;
        }
        return 0;
}

static int check_stop(struct registry *registry, struct error *err)
{
        if (registry->stop)
                return error_set(err, EINTR, "interrupted");
        return cancel_check(err);
}

static int run(struct schedule *schedule, struct error *err)
{
        struct registry *registry = schedule->registry;

        for (;;) {
                ranges_tidy(&schedule->ranges);
                if (check_stop(registry, err) < 0 || begin_due(schedule, err) < 0)
                        return -1;
                if (count_state(schedule, TRANSFER_ENDED) == schedule->count)
                        return 0;
                if (http_run(registry->http, TICK_MS, err) < 0 || step_finished(schedule, err) < 0)
                        return -1;
        }
}

int transfer_run(struct registry *registry, struct transfer *transfers, size_t count,
                 struct error *err)
{
        struct schedule schedule = {
                .registry = registry,
                .transfers = transfers,
                .count = count,
                .ranges = { .registry = registry },
        };
        int rc = run(&schedule, err);

        ranges_release(&schedule.ranges);
        for (size_t i = 0; rc < 0 && i < count; i++) {
                struct error ignored = ERROR_INIT;

                if (transfers[i].state == TRANSFER_ENDED)
                        continue;
                http_reset(registry->http, &transfers[i].request);
                transfers[i].state = TRANSFER_ENDED;
                (void)transfers[i].sink->end(transfers[i].sink, err, &ignored);
        }
        return rc;
}
