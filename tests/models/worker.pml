/* A worker, which runs one job at a time, and what befalls it. */

byte job_of[2], token_of[2], lease[2], stop[2];
bit agent[2], told[2];  /* its agent lives; its run was told to end */
byte token_of_crashed;  /* what upkeep ends a crashed job by */

/* lease */
#define GOOD 0
#define LATE 1          /* past the worker's own deadline, 0.8 of it */
#define OVER 2          /* run out, and buried */

/* stop: what happened to the process, before its next step */
#define KILLED 1
#define DROPS 2         /* it notices that its lease is lost */

#define J job_of[w]
#define HOLDS (job[J].token == token_of[w] && HELD(J))
#ifdef NO_FENCE
#define MATCHES (!ENDED(J))
#else
#define MATCHES HOLDS
#endif

#define READY(j) (job[j].state == PENDING && job[j].ready_seq && job[j].lock == NOBODY)
#define SEEN(j) (READY(j) && !(job[j].passed >> w & 1))
#ifdef NO_FULL_LOOK
#define CLAIMABLE(j) (lease[w] != OVER && SEEN(j))
#else
#define CLAIMABLE(j) (lease[w] != OVER && (SEEN(j) || (READY(j) && !SEEN(0) && !SEEN(1) && !SEEN(2))))
#endif

#define unlock_event event_lock = (event_lock == w + 1 -> NOBODY : event_lock)

inline forget_run() {
    job_of[w] = 0;
    token_of[w] = 0;
    agent[w] = 0;
    told[w] = 0;
    outcome = 0;
    emitted = 0
}

/* The process ended, or dropped all it did: Postgres rolls back, its agent is dead, and it comes back under a new id. */
inline begin_anew() {
    d_step {
        for (i : 0 .. 2) {
            job[i].lock = (job[i].lock == w + 1 -> NOBODY : job[i].lock);
            job[i].holder = (job[i].holder == w + 1 -> GONE : job[i].holder)
        }
        lane_lock = (lane_lock == w + 1 -> NOBODY : lane_lock);
        unlock_event;
        if
        :: next != NONE && job[next].state == BLOCKED -> drop_ready_seq(next)
        :: else
        fi;
        next = NONE;
        stop[w] = 0;
        lease[w] = GOOD;
        forget_run()
    }
}

/* A fenced statement finds its job's row by token and state; no row: the lease is lost, and the run writes nothing. */
#define FENCED \
    job[J].lock == NOBODY; \
    if \
    :: MATCHES \
    :: !(MATCHES) -> lane_lock = (lane_lock == w + 1 -> NOBODY : lane_lock); unlock_event; forget_run(); goto look \
    fi

proctype worker(byte w) {
    byte outcome, emitted, next = NONE;
{
look:
    do
    :: atomic {                                                                     /* job/claim */
           PICK(J, CLAIMABLE);
           move_cursor(w, J);
           drop_ready_seq(J);
           job[J].token = FRESH_TOKEN;
           token_of[w] = job[J].token;
           job[J].state = CLAIMED;
           job[J].holder = w + 1
       }
       break
    :: atomic { lease[w] == OVER && !ALL_ENDED -> begin_anew(); goto look }
    :: ALL_ENDED -> goto finished
    od;
    atomic {                                                                        /* job/start */
        FENCED;
        must_not(!HOLDS, S3_write_of_a_lost_run);
        job[J].state = RUNNING
    }
    atomic {                                                                        /* the handler starts its agent */
        if
        :: told[w] -> outcome = CANCELLED; goto end
#ifdef NO_DEADLINE
        :: !told[w] -> agent[w] = 1
#else
        :: !told[w] && lease[w] == GOOD -> agent[w] = 1
        :: !told[w] && lease[w] != GOOD -> begin_anew(); goto look
#endif
        fi
    }
    atomic {                                                                        /* the agent acts */
        must_not(agent[w] && job[J].state == CANCELLED, S6_effect_after_cancelled);
        must_not(agent[w] && !HOLDS, S8_agent_of_a_lost_run);
        stop[w] = (J == POISON -> KILLED : stop[w])
    }
    atomic {                                                                        /* job/fence; event/find */
        FENCED;
#ifndef FENCE_WITHOUT_LOCK
        job[J].lock = w + 1;
#endif
        if
        :: job[J].waited && payload -> must_not(found && found != payload, event_changed); found = payload
        :: else
        fi
    }
    atomic {                                                                        /* what the run writes, commit */
        must_not(!HOLDS, S3_write_of_a_lost_run);
        job[J].lock = NOBODY;
        agent[w] = 0;
        if                                                                          /* the handler returns */
        :: J != TIRELESS && !LANED(J) -> goto collected
        :: J != TIRELESS -> outcome = COMPLETE; goto end
        :: told[w] -> outcome = CANCELLED; goto end
        :: !told[w] && (J == TIRELESS || job[J].retry_count < MAX_RETRIES) -> goto put_back
        :: !told[w] && J != TIRELESS && job[J].retry_count == MAX_RETRIES -> outcome = FAILED; goto end
        :: !told[w] && J == WAITER && !job[J].waited -> goto wait
        fi
    }

collected:
    atomic {                                                                        /* job/end_many */
        FENCED;
        must_not(!HOLDS, S3_write_of_a_lost_run);
        end_job(J, COMPLETE, next);
        forget_run();
        goto look
    }

end:
#ifdef LANE_LOCK_FOLDED
    look_for_next(next, J);
#endif
    lock_lane_of(J, w + 1);                                                         /* lane/lock */
    atomic { FENCED; job[J].lock = w + 1 }                                          /* job/end */
#ifndef LANE_LOCK_FOLDED
    look_for_next(next, J);                                                         /* lane/promote */
#endif
    atomic {                                                                        /* commit */
        must_not(!HOLDS, S3_write_of_a_lost_run);
        end_job(J, outcome, next);
        forget_run();
        goto look
    }

put_back:
    atomic {                                                                        /* job/put_back */
        FENCED;
#ifdef NO_ROUND_IS_LOST
        if
        :: told[w] -> outcome = CANCELLED; goto end
        :: else
        fi;
#endif
        must_not(!HOLDS, S3_write_of_a_lost_run);
        job[J].retry_count = job[J].retry_count + (J != TIRELESS);
        job[J].alone = 0;
        release(J, PENDING);
        forget_run();
        goto look
    }

wait:
#ifdef EVENT_LOCK_FOLDED
    emitted = payload;
#else
    atomic { event_lock == NOBODY -> event_lock = w + 1; emitted = payload }        /* event/lock */
#endif
    atomic { FENCED; job[J].lock = w + 1 }                                          /* job/wait */
    atomic {                                                                        /* commit */
        must_not(!HOLDS, S3_write_of_a_lost_run);
        job[J].waited = 1;
        job[J].alone = 0;
        if
        :: emitted -> release(J, PENDING); draw_ready_seq(J)
        :: else -> release(J, WAITING)
        fi;
        unlock_event;
        forget_run();
        goto look
    }
} unless { atomic { stop[w] -> begin_anew(); goto look } }
finished:
    skip
}

proctype faults(byte w) {
end:
    do
    :: atomic { faults_left && lease[w] == GOOD && !stop[w] && token_of[w] -> faults_left--; stop[w] = KILLED }
    :: atomic {                                                                     /* frozen, or cut off, past its deadline */
           faults_left && lease[w] == GOOD && !stop[w] -> faults_left--;
           lease[w] = LATE;
#ifndef NO_DEADLINE
           agent[w] = 0
#endif
       }
    :: atomic {                                                                     /* worker/bury */
           lease[w] == LATE -> lease[w] = OVER;
           for (i : 0 .. 2) {
               job[i].holder = (job[i].holder == w + 1 -> GONE : job[i].holder)
           }
       }
    :: atomic { lease[w] != GOOD && !stop[w] -> stop[w] = DROPS }                   /* or never: it goes on where it stood */
    od
}
