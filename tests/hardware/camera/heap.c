/* The kernel's DMA heap, where there is none: preloaded, it answers /dev/dma_heap/linux,cma.

   A buffer is a memfd instead of a dma-buf: it is mapped, shared and closed in the same way, and
   there are no caches to synchronise. Source: linux/dma-heap.h and linux/dma-buf.h, Linux 6.12.
   One heap is known by its file, an empty memfd of that name; whatever else is opened or asked for
   goes on to libc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static const char heap[] = "/dev/dma_heap/linux,cma";

/* libc's own, found by what it is called with; 0 where the path is not the heap's. */
#define OPEN(name)                                                            \
    int name(const char *path, int flags, ...)                                \
    {                                                                         \
        if (!strcmp(path, heap))                                              \
            return memfd_create(heap, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);   \
        va_list rest;                                                         \
        va_start(rest, flags);                                                \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                         \
        int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, #name);        \
        return next(path, flags, mode);                                       \
    }
OPEN(open)
OPEN(open64)

int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *asked = va_arg(rest, void *);
    va_end(rest);
    if (request == DMA_HEAP_IOCTL_ALLOC) {
        struct dma_heap_allocation_data *buffer = asked;
        int made = memfd_create("dma-buf", MFD_CLOEXEC);
        if (made < 0)
            return -1;
        if (ftruncate(made, buffer->len) < 0) {
            close(made);
            return -1;
        }
        buffer->fd = made;
        return 0;
    }
    if (request == DMA_BUF_IOCTL_SYNC || request == DMA_BUF_SET_NAME_A ||
        request == DMA_BUF_SET_NAME_B || request == DMA_BUF_SET_NAME)
        return 0;
    int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return next(fd, request, asked);
}
