-- Takes account, query_id. Returns what was shown to who pressed; no row: this press was not taken in yet.
SELECT shown FROM {schema}.telegram_presses WHERE account = %(account)s AND query_id = %(query_id)s
