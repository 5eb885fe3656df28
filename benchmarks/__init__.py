"""How fast it is, and at what price: us, the smallest SQL that could do the same (`raw`), and the peers, in one run.

    ./jobs bench        measures ─┐                    ┌─▶ producer process   creates, one by one or in bulk
    ./jobs bench peers  peers ────┴─▶ contender.py ────┴─▶ worker processes   drain, and report what they handled
                                           │ JSON lines, one script per contender: contenders/*.py, *.mjs
                                           └─▶ table.py   one Markdown table, each figure beside its reference

Every contender runs on the same Postgres with full durability, on the same payload, with a handler that does nothing.
"""
