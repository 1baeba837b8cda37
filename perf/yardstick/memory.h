/* Memory in huge pages where the system has them to give. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (2u << 20)

static inline void *memory_new(size_t size)
{
	size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	/* Pages that the system keeps for this; those that it would have to find may be missing for one side. */
	void *kept = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (kept != MAP_FAILED)
		return kept;
	/* One page more, so that a huge page's boundary lies within. */
	char *start = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	size_t skip = (HUGE_PAGE - (size_t)start % HUGE_PAGE) % HUGE_PAGE;
	if (skip)
		munmap(start, skip);
	munmap(start + skip + size, HUGE_PAGE - skip);
	madvise(start + skip, size, MADV_HUGEPAGE);
	memset(start + skip, 0, size);
	return start + skip;
}

static inline void memory_free(void *memory, size_t size)
{
	munmap(memory, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
}

#endif
