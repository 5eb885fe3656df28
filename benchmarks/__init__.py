"""How fast it is, and at what price: us, the smallest SQL that could do the same (`raw`), and the peers, in one run.

    ./jobs bench        measures ─┐                    ┌─▶ producer process   creates, one by one or in bulk
    ./jobs bench peers  peers ────┴─▶ contender.py ────┴─▶ worker processes   drain, and report what they handled
                                           │ JSON lines, one script per contender: contenders/*.py, *.mjs
                                           └─▶ table.py   one Markdown table, each figure beside its reference

    ./jobs bench claims │ history │ before-after     powers: us beside ourselves, in turns, with others behind, with a year of
                                                     history, and with an earlier commit's code

Every contender runs on the same Postgres with full durability, on the same payload, with a handler that does nothing.
"""
