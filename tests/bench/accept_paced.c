/* Preloaded into a server: every connection it accepts leaves no faster than PACE bytes a second, as a CDN's do.
 * A limit inside the server (nginx's limit_rate) counts per request, and lets ranges of one file through unlimited. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
    int (*accept_unpaced)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
    int connection = accept_unpaced(listener, address, length, flags);
    const char *pace = getenv("PACE");
    if (connection >= 0 && pace) {
        uint64_t rate = strtoull(pace, NULL, 10);
        setsockopt(connection, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
    }
    return connection;
}
