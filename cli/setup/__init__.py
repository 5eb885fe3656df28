"""What `./jobs setup` does: asks or is told, tries each answer, and keeps what passed.

given ─┐
asked ─┴▶ tried: is it so? ─ no ─▶ asked again, or the end ─┐
   ▲             └─ yes ─▶ the next                         ▼
   └──────────────────────┘   all passed ─▶ kept        nothing is kept
"""
