/* The floor as a responder on a port, turn after turn (floor_turn). A measuring tool.
 *
 * usage: responder EAL-ARGUMENTS -- swap|update|insert
 *
 * One main lcore that waits and one worker, which polls the only queue of the only port. It ends on
 * SIGINT, on SIGTERM, and when its standard input does; then it prints how many frames it received. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "yardstick.h"

#define DESCRIPTORS 1024
#define FRAMES 8191
#define FRAME_CACHE 256
#define PORT 0
#define WAIT_MS 20

static const char *const variants[] = {
	[FLOOR_SWAP] = "swap",
	[FLOOR_UPDATE] = "update",
	[FLOOR_INSERT] = "insert",
};

struct worker {
	struct floor *floor;
	enum floor_variant variant;
	uint64_t received;
};

static volatile bool over;

static void end(int signal)
{
	(void)signal;
	over = true;
}

static int work(void *argument)
{
	struct worker *self = argument;
	while (!over)
		self->received += floor_turn(self->floor, PORT, 0, self->variant);
	return 0;
}

static void start_port(struct rte_mempool *pool)
{
	struct rte_eth_conf conf = { 0 };
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	if (rte_eth_dev_count_avail() != 1)
		rte_exit(EXIT_FAILURE, "it needs one port: name one by --vdev\n");
	if (rte_eth_dev_configure(PORT, 1, 1, &conf) ||
	    rte_eth_dev_adjust_nb_rx_tx_desc(PORT, &rx, &tx) ||
	    rte_eth_rx_queue_setup(PORT, 0, rx, SOCKET_ID_ANY, NULL, pool) ||
	    rte_eth_tx_queue_setup(PORT, 0, tx, SOCKET_ID_ANY, NULL) || rte_eth_dev_start(PORT))
		rte_exit(EXIT_FAILURE, "the port does not start\n");
	/* A driver without this operation filters nothing. */
	rte_eth_promiscuous_enable(PORT);
}

/* False if there is no such variant. */
static bool read_variant(const char *name, enum floor_variant *variant)
{
	for (unsigned i = 0; i < sizeof variants / sizeof *variants; i++) {
		if (strcmp(name, variants[i]) == 0) {
			*variant = (enum floor_variant)i;
			return true;
		}
	}
	return false;
}

/* Waits for input a little; false if there will be none. */
static bool input_lasts(void)
{
	char ignored;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	return poll(&input, 1, WAIT_MS) <= 0 || read(STDIN_FILENO, &ignored, 1) > 0;
}

int main(int count, char **arguments)
{
	static struct worker worker;
	int taken = rte_eal_init(count, arguments);
	if (taken < 0)
		rte_exit(EXIT_FAILURE, "DPDK does not start\n");
	if (count - taken != 2 || !read_variant(arguments[taken + 1], &worker.variant))
		rte_exit(EXIT_FAILURE, "usage: responder EAL-ARGUMENTS -- swap|update|insert\n");
	struct sigaction action = { .sa_handler = end };
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	void *table = rte_zmalloc(NULL, floor_lines() * RTE_CACHE_LINE_SIZE, RTE_CACHE_LINE_SIZE);
	worker.floor = table ? floor_new(table) : NULL;
	struct rte_mempool *pool = rte_pktmbuf_pool_create("frames", FRAMES, FRAME_CACHE, 0,
							   RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!worker.floor || !pool)
		rte_exit(EXIT_FAILURE, "there is too little memory\n");
	start_port(pool);
	unsigned lcore = rte_get_next_lcore(-1, 1, 0);
	if (lcore == RTE_MAX_LCORE || rte_eal_remote_launch(work, &worker, lcore))
		rte_exit(EXIT_FAILURE, "it needs a worker lcore besides the main one\n");
	puts("ready");
	fflush(stdout);
	/* Any thread may get the signal, so the wait looks after it. */
	while (!over && input_lasts())
		;
	over = true;
	rte_eal_wait_lcore(lcore);
	printf("received %" PRIu64 "\n", worker.received);
	rte_eth_dev_stop(PORT);
	rte_eth_dev_close(PORT);
	floor_free(worker.floor);
	rte_eal_cleanup();
	return 0;
}
