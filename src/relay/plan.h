/*
 * Who gets the image from whom, and where each node listens; computed alike by all of them.
 * Pure.
 *
 * The nodes are a tree by their indices: node i asks node (i - 1) / 2, so 4,096 nodes are 12
 * steps deep, and none sends the image more than twice. Each node passes on what it has while
 * the rest is still on its way. Every node only ever asks lower ones, so there is no circle,
 * and without node 0 the lowest one that is left imports.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "relay/wire.h"

#define PLAN_CANDIDATES 24 /* more than a tree of 2^20 nodes is deep, and the deputies */
#define PLAN_PORTS      8  /* that a node tries, in this order */

/* The key of a step: of srun's secret, which is the same for all steps that one srun starts. */
void plan_key(struct sha256 *sha, const unsigned char secret[WIRE_KEY_SIZE], const char *step,
              unsigned char ret[WIRE_KEY_SIZE]);

/* The port that a node listens at, at its attempt-th try. */
uint16_t plan_port(struct sha256 *sha, const unsigned char key[WIRE_KEY_SIZE], uint32_t node,
                   uint32_t attempt, uint16_t first, uint16_t last);

/*
 * Whom a node may ask, in this order: its parent, that one's, and so on up to node 0; then
 * those that take over from node 0. Returns how many.
 */
size_t plan_candidates(uint32_t node, uint32_t ret[PLAN_CANDIDATES]);

/* How many nodes ask this one first. */
uint32_t plan_children(uint32_t node, uint32_t count);
