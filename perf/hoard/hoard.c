/* Takes every buffer of an otherhalfd that it is loaded into (LD_PRELOAD), and gives them back: at each SIGUSR2 the one or the other.
 *
 * Each lcore does it for itself where it sleeps. There it is in no function of DPDK, and what its own cache of the mempool keeps
 * nobody else can have. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

/* The name of the responder's mempool. */
#define POOL "frames"

typedef int sleep_function(clockid_t, int, const struct timespec *, struct timespec *);

static sleep_function *next_sleep;
static atomic_uint wanted;
/* What each lcore took, linked by `next`. */
static struct rte_mbuf *hoards[RTE_MAX_LCORE];

static void turn(int signal)
{
	(void)signal;
	atomic_fetch_xor(&wanted, 1);
}

__attribute__((constructor)) static void begin(void)
{
	struct sigaction action = { .sa_handler = turn, .sa_flags = SA_RESTART };

	next_sleep = (sleep_function *)dlsym(RTLD_NEXT, "clock_nanosleep");
	sigaction(SIGUSR2, &action, NULL);
}

static void take(struct rte_mbuf **hoard)
{
	struct rte_mempool *pool = rte_mempool_lookup(POOL);
	struct rte_mbuf *buffer;

	while (pool != NULL && (buffer = rte_pktmbuf_alloc(pool)) != NULL) {
		buffer->next = *hoard;
		*hoard = buffer;
	}
}

static void give_back(struct rte_mbuf **hoard)
{
	struct rte_mbuf *buffer;

	while ((buffer = *hoard) != NULL) {
		*hoard = buffer->next;
		buffer->next = NULL;
		rte_pktmbuf_free(buffer);
	}
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
	const unsigned int lcore = rte_lcore_id();

	if (lcore < RTE_MAX_LCORE) {
		if (atomic_load(&wanted))
			take(&hoards[lcore]);
		else
			give_back(&hoards[lcore]);
	}
	return next_sleep(clock, flags, time, left);
}
