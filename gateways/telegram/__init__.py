"""The Telegram door, by Telethon: `./jobs telegram` holds accounts, takes in what people write, and sends what is owed.

                       ┌─ client ─ batch ─▶ ingress ─ one transaction a message ─▶ chat, ChatTurn job, how far we are
account ─ lease ─ held ┼─ reconcile, each minute and after a reconnect: what did not come
                       └─ worker of out:{account} ─▶ egress
"""
