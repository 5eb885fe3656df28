"""The model proxy: a server in each worker process that stands between the CLIs and the model's API.

    CLI ─ a credential of its run ─▶ proxy ─ the key ─▶ API
                                       │ before: cap, models, the ledger's row ─ refused: 401, 403, 503
                                       └ after: what was used

The key is here only. A CLI's credential is drawn for its run, is good for nothing but this server and ends with the run.
No call is made that the ledger does not know of. A worker that runs no turn starts no server and loads none of this.
"""
