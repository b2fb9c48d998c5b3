/* SPDX-License-Identifier: MIT
 *
 * An intrusive doubly linked list, which is a ring: the head is a link too, and a link that is in no list points to
 * itself.
 */
#ifndef CNC_LIST_H
#define CNC_LIST_H

#include <stdbool.h>

struct cnc_link {
    struct cnc_link *next, *prev;
};

static inline void cnc_link_init(struct cnc_link *l)
{
    l->next = l->prev = l;
}

static inline bool cnc_link_alone(const struct cnc_link *l)
{
    return l->next == l;
}

/* Removes l from its list; does nothing if it is in none. */
static inline void cnc_link_remove(struct cnc_link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->next = l->prev = l;
}

/* Adds l at the end. It must be in no list. */
static inline void cnc_link_append(struct cnc_link *head, struct cnc_link *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

/* Moves all links of the list from to the end of the list to. Both are heads. */
static inline void cnc_link_move_all(struct cnc_link *to, struct cnc_link *from)
{
    if (cnc_link_alone(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    cnc_link_init(from);
}

/* Removes the first link and returns it. The list must not be empty. */
static inline struct cnc_link *cnc_link_take_first(struct cnc_link *head)
{
    struct cnc_link *l = head->next;
    cnc_link_remove(l);
    return l;
}

#endif
