"""What goes out by Telegram: deliveries, each once, and what a turn shows while it runs.

deliver job ─▶ sender ─▶ places: where to ─▶ pieces: texts, files, each with its random id ─▶ ask ─▶ Telegram
                 ▲                             └─ markdown ─▶ styled ─▶ splitting
                 └─ answers: what an error means for the delivery
live events ─▶ progress: one message a turn, edited, deleted when the answer is there
"""
