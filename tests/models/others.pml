/* Everybody else: who creates, cancels and emits, and the upkeep that each worker does for all. */

#define lane_has_no_head (head_pos == 0)

/* The lane's row gives a position; the first has drawn its number before, and is ready. */
inline take_place(j, first) {
    job[j].lane_pos = next_pos;
    next_pos++;
    job[j].state = (first -> PENDING : BLOCKED);
    head_pos = (first -> job[j].lane_pos : head_pos);
    lane_lock = NOBODY;
    first = 0
}

inline draw_if(first, j) {
    if
    :: first -> draw_ready_seq(j)
    :: else
    fi
}

proctype create(byte j) {
    bit first;
    if
    :: j == LATER -> job[j].state = PENDING                                         /* job/create for a later time, commit */
    :: LANED(j) ->
#ifdef CREATE_BY_AN_OLD_LOOK
        first = lane_has_no_head;
#endif
        atomic {                                                                    /* job/create */
            lane_lock == NOBODY -> lane_lock = ANOTHER;
            first = first || lane_has_no_head;
            draw_if(first, j)
        }
        atomic { take_place(j, first) }                                             /* commit */
    :: !LANED(j) ->
        draw_ready_seq(j);                                                          /* job/create_one */
        job[j].state = PENDING                                                      /* commit */
    fi
}

#define ABSENT_YET(j) (job[j].state == PENDING && LANED(j) && !job[j].lane_pos)
#define JOINS(j) (ABSENT_YET(j) && job[j].lock == NOBODY)
#define DUE(j) (job[j].state == PENDING && !job[j].ready_seq && !ABSENT_YET(j) && job[j].lock == NOBODY)
#define WAITED_LONG(j) (job[j].state == WAITING && job[j].lock == NOBODY)
#define IS_GONE(j) (job[j].holder == GONE && HELD(j))
#define CRASHED(j) (IS_GONE(j) && job[j].state == RUNNING && job[j].alone && job[j].alone_lost_count + 1 >= MAX_LOST)
#ifdef NO_RESCUE
#define LOST(j) false
#else
#define LOST(j) (IS_GONE(j) && !CRASHED(j) && job[j].lock == NOBODY)
#endif

/* What passes locked rows over, or tries a lane's lock, comes again: here it waits. */
proctype upkeep() {
    byte j, next = NONE;
    bit first;
end:
    do
    :: atomic { PICK(j, DUE); draw_ready_seq(j); j = 0 }                            /* job/promote */
    :: atomic { PICK(j, WAITED_LONG); job[j].state = PENDING; draw_ready_seq(j); j = 0 }    /* job/go_on */
    :: atomic { PICK(j, JOINS) }                                                    /* job/due_for_lanes */
       lock_lane_of(j, ANOTHER);                                                    /* lane/try_lock */
       atomic {                                                                     /* job/join, commit */
           if
           :: JOINS(j) -> first = lane_has_no_head; draw_if(first, j); take_place(j, first)
           :: else -> lane_lock = NOBODY
           fi;
           j = 0
       }
    :: atomic {                                                                     /* job/rescue */
           PICK(j, LOST);
#ifndef NO_CRASH_COUNT
           job[j].alone_lost_count = job[j].alone_lost_count + (job[j].state == RUNNING && job[j].alone);
#endif
           job[j].alone = job[j].alone || job[j].state == RUNNING;
           release(j, PENDING);
           draw_ready_seq(j);
           j = 0
       }
    :: atomic { PICK(j, CRASHED); token_of_crashed = job[j].token }                 /* job/crashed */
       lock_lane_of(j, ANOTHER);                                                    /* lane/try_lock */
       atomic {                                                                     /* job/end */
           job[j].lock == NOBODY;
           if
           :: job[j].token == token_of_crashed && HELD(j) -> job[j].lock = ANOTHER
           :: else -> unlock_lane_of(j); token_of_crashed = 0; j = 0; goto end
           fi
       }
       look_for_next(next, j);                                                      /* lane/promote */
       atomic { end_job(j, FAILED, next); token_of_crashed = 0; j = 0 }             /* commit */
    od
}

#define WANTED(j) (LIVING(j) && job[j].cancel_requested)
#define UNHELD(j) (WANTED(j) && !HELD(j))
#define UNHELD_AND_FREE(j) (UNHELD(j) && job[j].lock == NOBODY && (!LANED(j) || lane_lock == NOBODY))
#define TELLS(w) (token_of[w] && !told[w] && WANTED(job_of[w]) && job[job_of[w]].holder == w + 1)

/* jobs_core.cancel.end_unheld: locks a job to end it, if no worker holds it. */
inline lock_unheld(j) {
    lock_lane_of(j, ANOTHER);                                                       /* lane/lock */
    atomic {                                                                        /* cancel/end */
        job[j].lock == NOBODY;
        if
#ifdef CANCEL_BY_AN_OLD_LOOK
        :: LIVING(j) -> job[j].lock = ANOTHER
#else
        :: LIVING(j) && !HELD(j) -> job[j].lock = ANOTHER
#endif
        :: else -> unlock_lane_of(j); j = 0; goto end
        fi
    }
}

proctype cancel() {
    byte j, next = NONE;
    if
    :: atomic { PICK(j, LIVING); job[j].cancel_requested = 1 }                      /* cancel/ask */
    :: ALL_ENDED -> goto end
    fi;
#ifndef NO_ROUND_IS_LOST
    lock_unheld(j);
    look_for_next(next, j);                                                         /* lane/promote */
    atomic { end_job(j, CANCELLED, next); j = 0 }                                   /* cancel/forget, commit */
#endif
end:
    skip
}

/* workers/cancels.py: all workers' upkeep ends what nobody holds, and each worker's tells its own run. */
proctype requests() {
    byte j, next = NONE;
end:
    do
#ifdef NO_ROUND_IS_LOST
    :: atomic {
           PICK(j, UNHELD_AND_FREE);
           job[j].lock = ANOTHER;
           lane_lock = (LANED(j) -> ANOTHER : lane_lock)
       }
#else
    :: atomic { PICK(j, UNHELD) }                                                   /* cancel/asked */
       lock_unheld(j);
#endif
       look_for_next(next, j);                                                      /* lane/promote */
       atomic { end_job(j, CANCELLED, next); j = 0 }                                /* cancel/forget, commit */
    :: atomic { TELLS(0) || TELLS(1) -> told[0] = told[0] || TELLS(0); told[1] = told[1] || TELLS(1) }
    od
}

#if WAITER != NONE
/* The SQL function emit, in a transaction. Its second statement compares and sets: the first payload stays. */
proctype emit(byte value) {
    bit waits;
    atomic { event_lock == NOBODY -> event_lock = ANOTHER }                         /* the event's row, by upsert */
    waits = job[WAITER].state == WAITING;                                           /* third statement: who waits */
    atomic {                                                                        /* and still does, under its lock */
        !waits || job[WAITER].lock == NOBODY;
        waits = waits && job[WAITER].state == WAITING;
        job[WAITER].lock = (waits -> ANOTHER : job[WAITER].lock)
    }
    atomic {                                                                        /* commit */
#ifdef EVENT_WITHOUT_COMPARE
        payload = value;
#else
        payload = (payload -> payload : value);
#endif
        if
        :: waits -> release(WAITER, PENDING); draw_ready_seq(WAITER)
        :: else
        fi;
        event_lock = NOBODY;
        waits = 0
    }
}
#endif
