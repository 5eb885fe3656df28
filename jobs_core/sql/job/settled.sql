-- Takes id, token. Returns one row when that claim ended the job: a settle whose commit got no answer asks this.
SELECT FROM {schema}.history WHERE id = %(id)s AND token = %(token)s
