/* The rows in Postgres, and what statements do to them.
 *
 * A row's lock is a variable that names its owner. Nobody else sees what a transaction writes before its commit, and what it
 * will write it has locked: so its writes are one atomic step, its commit, which unlocks.
 */

/* jobs.state, history.state */
#define ABSENT    0     /* not committed yet */
#define BLOCKED   1
#define PENDING   2     /* ready if it has a ready_seq, else due later */
#define WAITING   3
#define CLAIMED   4
#define RUNNING   5
#define COMPLETE  6     /* from here on: moved to history */
#define FAILED    7
#define CANCELLED 8

/* who has a row locked, or holds a job; worker w is w + 1 */
#define NOBODY    0
#define ANOTHER   3     /* of locks: somebody who does not die in the middle of a transaction */
#define GONE      3     /* of jobs: a worker whose row is dead, or whose lease nobody will renew */

typedef Job {
    unsigned state : 4;
    unsigned lock : 2;
    unsigned lane_pos : 2;              /* 0: none */
    unsigned ready_seq : 2;             /* its rank among the numbers that are drawn and not used up; 0: none */
    unsigned passed : 2;                /* bits: workers whose cursor has gone past that number */
    unsigned token : 2;
    unsigned holder : 2;                /* worker_id */
    unsigned retry_count : 2;
    unsigned alone_lost_count : 2;
    bit alone;
    bit cancel_requested;               /* a row of cancel_requests */
    bit waited                          /* a row of steps: its wait began, and is over when it runs again */
};

Job job[3];
unsigned lane_lock : 2, head_pos : 2, next_pos : 3 = 1;
unsigned event_lock : 2, payload : 2;   /* payload 0: not emitted */
unsigned found : 2;                     /* no row: the payload that the first run found */

#define LANED(j)    ((j) < LANE_JOBS)
#define HELD(j)     (job[j].state == CLAIMED || job[j].state == RUNNING)
#define ENDED(j)    (job[j].state >= COMPLETE)
#define LIVING(j)   (job[j].state != ABSENT && !ENDED(j))
#define ALL_ENDED   (ENDED(0) && ENDED(1) && (JOBS < 3 || ENDED(2)))

#define PICK(j, WHICH) if :: WHICH(0) -> j = 0 :: WHICH(1) -> j = 1 :: WHICH(2) -> j = 2 fi

/* What must never be, by the names that the checker prints. Hidden: no part of a state. */
hidden byte S1_S9_ended_twice, S3_write_of_a_lost_run, S4_lane_out_of_order, S6_effect_after_cancelled;
hidden byte S8_agent_of_a_lost_run, S11_stranded, lost_wake_up, event_changed;
hidden byte i;          /* for loops within a step */

inline must_not(broken, what) {
    if
    :: broken -> what = 1; assert(!what)
    :: else
    fi
}

/* nextval('ready_seq'): greater than all that were drawn, committed or not, and no cursor is past it. */
inline draw_ready_seq(j) {
    d_step {
        job[j].passed = 0;
        job[j].ready_seq = 1 + (job[0].ready_seq > 0) + (job[1].ready_seq > 0) + (job[2].ready_seq > 0)
    }
}

/* The number is used up. Those above close the gap, or states would differ by how many were drawn before. */
inline drop_ready_seq(j) {
    d_step {
        for (i : 0 .. 2) {
            job[i].ready_seq = job[i].ready_seq - (job[j].ready_seq && job[i].ready_seq > job[j].ready_seq)
        }
        job[j].ready_seq = 0;
        job[j].passed = 0
    }
}

/* Worker w's cursor comes to this job's number, past all that were drawn before it. */
inline move_cursor(w, j) {
    d_step {
        for (i : 0 .. 2) {
            job[i].passed = job[i].passed | ((job[i].ready_seq && job[i].ready_seq < job[j].ready_seq) << w)
        }
    }
}

/* nextval('token_seq'): one that no claim has had. The least that nobody remembers comes to the same. */
#define REMEMBERED(t) (token_of[0] == (t) || token_of[1] == (t) || token_of_crashed == (t))
#define FRESH_TOKEN (!REMEMBERED(1) -> 1 : (!REMEMBERED(2) -> 2 : 3))

/* lane/lock */
inline lock_lane_of(j, owner) {
    if
    :: LANED(j) -> atomic { lane_lock == NOBODY -> lane_lock = owner }
    :: else
    fi
}

#define unlock_lane_of(j) lane_lock = (LANED(j) -> NOBODY : lane_lock)

/* lane/promote's look: the first of the lane, but for the job that ends. One that is blocked draws its number here. */
inline look_for_next(next, but) {
    d_step {
        next = NONE;
        for (i : 0 .. LANE_JOBS - 1) {
            if
            :: LANED(but) && i != but && LIVING(i) && job[i].lane_pos ->
                next = (next == NONE || job[i].lane_pos < job[next].lane_pos -> i : next)
            :: else
            fi
        }
        if
        :: next != NONE && job[next].state == BLOCKED -> draw_ready_seq(next)
        :: else
        fi
    }
}

/* lane/promote's write, and the end of the transaction. */
inline promote(next) {
    if
    :: next == NONE -> head_pos = 0
    :: else ->
        head_pos = job[next].lane_pos;
#ifndef NO_PROMOTION
        job[next].state = (job[next].state == BLOCKED -> PENDING : job[next].state)
#endif
    fi;
    lane_lock = NOBODY
}

/* job/end, job/end_many, cancel/end: the row moves to history, and its lane goes on. */
inline end_job(j, as, next) {
    must_not(!LIVING(j), S1_S9_ended_twice);
    drop_ready_seq(j);
    job[j].state = as;
    job[j].lane_pos = 0;
    job[j].token = 0;
    job[j].holder = NOBODY;
    job[j].lock = NOBODY;
    job[j].retry_count = 0;
    job[j].alone_lost_count = 0;
    job[j].alone = 0;
    job[j].cancel_requested = 0;
    job[j].waited = 0;
    if
    :: LANED(j) -> promote(next)
    :: else
    fi;
    next = NONE
}

/* job/put_back, job/wait, job/rescue: nobody holds it any more. */
inline release(j, as) {
    job[j].state = as;
    job[j].holder = NOBODY;
    job[j].lock = NOBODY
}
