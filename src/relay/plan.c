#include "relay/plan.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FAN_OUT  2
#define DEPUTIES 3 /* nodes 1 to 3 */

void plan_key(struct sha256 *sha, const unsigned char secret[WIRE_KEY_SIZE], const char *step,
              unsigned char ret[WIRE_KEY_SIZE])
{
        sha256_hmac(sha, secret, step, strlen(step), ret);
}

uint16_t plan_port(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE], uint32_t node,
                   uint32_t attempt, uint16_t first, uint16_t last)
{
        uint32_t count = (uint32_t)last - first + 1;
        unsigned char raw[SHA256_SIZE];
        char text[64];

        /* The first is drawn; the others follow it, so that a small range is tried whole. */
        (void)snprintf(text, sizeof(text), "port %u", node);
        sha256_hmac(sha, key, text, strlen(text), raw);
        return (uint16_t)(first + ((uint32_t)(raw[0] << 16 | raw[1] << 8 | raw[2]) + attempt) %
                                          count);
}

static bool contains(const uint32_t *list, size_t count, uint32_t node)
{
        for (size_t i = 0; i < count; i++)
                if (list[i] == node)
                        return true;
        return false;
}

size_t plan_candidates(uint32_t node, uint32_t ret[PLAN_CANDIDATES])
{
        size_t count = 0;

        for (uint32_t i = node; i > 0 && count < PLAN_CANDIDATES - DEPUTIES;) {
                i = (i - 1) / FAN_OUT;
                ret[count++] = i;
        }
        for (uint32_t i = 1; i <= DEPUTIES && i < node; i++)
                if (!contains(ret, count, i))
                        ret[count++] = i;
        return count;
}

uint32_t plan_children(uint32_t node, uint32_t count)
{
        uint64_t first = (uint64_t)node * FAN_OUT + 1;

        if (first >= count)
                return 0;
        return count - first < FAN_OUT ? (uint32_t)(count - first) : FAN_OUT;
}
