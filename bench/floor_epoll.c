/* SPDX-License-Identifier: MIT
 *
 * The floor that every ratio is taken against: one thread, one level-triggered epoll set, no library.
 */
#include "floor_loop.h"

int main(int argc, char **argv)
{
    int listener = floor_listen(argc, argv, SOCK_NONBLOCK);

    floor_ready(listener, "floor-epoll");
    floor_loop(listener, 0);
}
