/* The queue, as a model: every order in which the statements of producers, workers and upkeep can meet, with workers that are
 * killed or freeze at any of them. `./jobs drill model` checks it, and that it notices each guard's absence.
 *
 *     create ─▶ [lane] ─▶ ready ─▶ worker: claim ─▶ start ─▶ agent, fence ─▶ end ─┬─ put back ─┬─ wait
 *                 ▲         ▲ ▲                                                   │            │     │
 *                 └─────────┼─┼── promote ◀───────────────────────────────────────┘            │     │
 *                           │ └── upkeep: due, crashed, rescue ◀───────────────────────────────┘     │
 *                           └──── emit, or its time is over ◀────────────────────────────────────────┘
 *
 * A step is a statement, named beside it as in jobs_core/sql, or a commit. In READ COMMITTED a statement sees what was
 * committed when it began, waits for the row that it writes, and sees that as it is under the lock. So one that looks at the
 * row that it locks, and nowhere else, is one step; one that looks elsewhere is a look and a lock; and what a transaction of
 * several statements has locked stays locked until its commit, which is when others see what it wrote.
 *
 *     rows.pml     jobs, a lane, an event; what statements do to them; the names of what must never be
 *     worker.pml   claim, start, fence, end, put back, wait; and what befalls a worker
 *     others.pml   create, upkeep (due, join, a wait's end, rescue, crashed), cancel, emit
 *
 * Time is order alone: a worker's own deadline comes before the end of its lease, and its agent is dead then. Faults are
 * bounded; nobody is fair or punctual: whoever can go on may be slow, which is what a freeze looks like from outside. A poll
 * is a wait for something to find, so that every execution ends, and `all_end` needs no fairness.
 *
 * Left out: several runs in one worker (`./jobs drill poison` tells suspects from innocents), brief jobs, Snooze and drains (a
 * Retry that costs nothing, as TIRELESS does), children (they are to their parent as emits to a wait), keys, limits, and
 * answers that were lost (`./jobs drill cuts`).
 */

#define NONE 3          /* no job */

#ifndef JOBS
#define JOBS 2          /* 2 or 3 */
#endif
#ifndef LANE_JOBS
#define LANE_JOBS 2     /* the first so many share the lane */
#endif
#ifndef FAULTS
#define FAULTS 0        /* one is worker 0's, workers being alike; two are anybody's */
#endif
#ifndef MAX_RETRIES
#define MAX_RETRIES 1
#endif
#ifndef MAX_LOST
#define MAX_LOST 2      /* MAX_LOST_ALONE is 3 */
#endif
#ifndef POISON
#define POISON NONE     /* a job that kills whoever runs it */
#endif
#ifndef TIRELESS
#define TIRELESS NONE   /* a job whose runs put it back at no cost, for ever */
#endif
#ifndef WAITER
#define WAITER NONE     /* a job that may wait for the event, which two emit */
#endif
#ifndef LATER
#define LATER NONE      /* a job that may be created for a later time */
#endif
/* CANCEL: somebody cancels a job. NO_ROUND_IS_LOST: a request that meets a claim, or a put-back, in the same instant is not too
 * late every time, for ever. The other flags each take a guard out. */

byte faults_left = FAULTS;

#include "rows.pml"
#include "worker.pml"
#include "others.pml"

#define AHEAD(k, j) (LIVING(k) && job[k].lane_pos && job[k].lane_pos < job[j].lane_pos)
#define HAS_AHEAD(j) (AHEAD(0, j) || AHEAD(1, j) || AHEAD(2, j))
#define OVERTAKES(j) (LIVING(j) && job[j].state != BLOCKED && HAS_AHEAD(j))
#define STRANDED(j) (job[j].state == BLOCKED && !HAS_AHEAD(j))

/* Looks at every state. */
active proctype invariants() {
end:
    do
    :: atomic { OVERTAKES(0) || OVERTAKES(1) || OVERTAKES(2) -> must_not(true, S4_lane_out_of_order) }
    :: atomic { STRANDED(0) || STRANDED(1) || STRANDED(2) -> must_not(true, S11_stranded) }
#if WAITER != NONE
    :: atomic { payload && job[WAITER].state == WAITING -> must_not(true, lost_wake_up) }
#endif
    od
}

init {
    atomic {
        run create(0);
        run create(1);
#if JOBS > 2
        run create(2);
#endif
        run worker(0);
        run worker(1);
        run upkeep();
#if FAULTS > 0
        run faults(0);
#endif
#if FAULTS > 1
        run faults(1);
#endif
#ifdef CANCEL
        run cancel();
#ifndef NO_LOOK_FOR_REQUESTS
        run requests();
#endif
#endif
#if WAITER != NONE
        run emit(1);
        run emit(2);
#endif
    }
}

/* Every job ends. That a blocked job is promoted and a lost one taken over follows: an ended job is neither. */
ltl all_end { <> ALL_ENDED }

/* A job that would never end does when somebody cancels it; this one needs fairness (pan -f). */
ltl cancel_arrives { [] (job[0].cancel_requested -> <> ENDED(0)) }
