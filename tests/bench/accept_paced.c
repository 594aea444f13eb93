/* Preloaded into a server: every connection it accepts leaves no faster than PACE bytes a second, as a CDN's do, and
 * every tenth of them SLOWED times slower still.
 * A limit inside the server (nginx's limit_rate) counts per request, and lets ranges of one file through unlimited. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

static atomic_uint *accepted;

/* One count for all of the server's processes: they are forked after this. */
__attribute__((constructor)) static void share_the_count(void)
{
    accepted = mmap(NULL, sizeof *accepted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (accepted == MAP_FAILED)
        abort();
}

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
    int (*accept_unpaced)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
    int connection = accept_unpaced(listener, address, length, flags);
    const char *pace = getenv("PACE"), *slowed = getenv("SLOWED");
    if (connection >= 0 && pace) {
        uint64_t rate = strtoull(pace, NULL, 10);
        if (slowed && atomic_fetch_add(accepted, 1) % 10 == 9)
            rate /= strtoull(slowed, NULL, 10);
        setsockopt(connection, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
    }
    return connection;
}
