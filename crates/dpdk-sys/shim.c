#include "wrapper.h"

int dsys_errno(void)
{
	return rte_errno;
}

unsigned int dsys_lcore_id(void)
{
	return rte_lcore_id();
}

uint64_t dsys_rdtsc(void)
{
	return rte_rdtsc();
}

struct rte_mbuf *dsys_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int dsys_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
}

void dsys_pktmbuf_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

int dsys_eth_link(uint16_t port, bool *up, uint32_t *speed)
{
	struct rte_eth_link link;
	int status = rte_eth_link_get_nowait(port, &link);

	if (status == 0) {
		*up = link.link_status == RTE_ETH_LINK_UP;
		*speed = link.link_speed;
	}
	return status;
}

/*
 * Two functions that ethdev exports to drivers, of a header that no package has.
 */
struct rte_eth_dev *rte_eth_dev_allocated(const char *name);
int rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event,
				 void *ret_param);

int dsys_tell_link(const char *name)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(name);

	if (dev == NULL)
		return -ENODEV;
	return rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
}

int dsys_tel_add_number(struct rte_tel_data *answer, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	return rte_tel_data_add_dict_uint(answer, name, value);
#else
	return rte_tel_data_add_dict_u64(answer, name, value);
#endif
}
