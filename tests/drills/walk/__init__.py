"""A walk: random operations on the real SQL, each repeated in a model, and the two compared after every step.

    dice ─▶ rule (create, claim, settle, wait, pause, redrive, a lease runs out, a stale write …) ─▶ the database, and the model
     ▲                                                                                                       │
     └── next step ◀── S1–S12 by SQL, and every row as the model has it ◀─────────────────────────────────────┘
    at the end: faults stop, times come, events are emitted ─▶ everything must end

A theme has a file of rules; what must be true of limits and of pauses has one, too (`model_…`). Time is moved in rows. One walk
is one task on one connection: what races is stepped as a pair of verbs at once. A rule makes what it needs where that does not
stand there (`runs`), so that all fire about as often; weights make up for what is left.
"""
